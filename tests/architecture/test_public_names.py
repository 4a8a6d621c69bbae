"""What `from lorry import …` offers is exactly what is documented, and each name is there."""

from __future__ import annotations

import lorry


def test_every_public_name_exists_and_has_a_docstring() -> None:
    """Each name in `lorry.__all__` can be imported and says in one line what it is."""
    for name in lorry.__all__:
        thing = getattr(lorry, name)
        assert (thing.__doc__ or "").strip(), name


def test_the_public_names_are_these() -> None:
    """A public name comes or goes only on purpose: this list and the changelog change together."""
    assert sorted(lorry.__all__) == [
        "Event",
        "Finding",
        "Generation",
        "Lorry",
        "LorryError",
        "Picture",
        "Placement",
        "PlacementState",
        "Proof",
        "Settings",
        "Severity",
        "ShippedModel",
        "TrainedModel",
        "WeightsReport",
        "WeightsSummary",
        "read_settings",
    ]


def test_dir_shows_the_public_names() -> None:
    """`dir(lorry)` shows the names although they are loaded only when used."""
    assert set(lorry.__all__) <= set(dir(lorry))
