"""Published files, stripped to their headers, in the real loader: it does what we foretell."""

from __future__ import annotations

import pytest

from tests.weights.real_headers import NAMES, read

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from lorry.weights.bases.families import family
from tests.ground_truth.comparing import Case, disagreement
from tools.ground_truth.real import RealLoader

pytestmark = [pytest.mark.slow, pytest.mark.reference]

BY_FAMILY: dict[str, list[str]] = {}
for _name in NAMES:
    BY_FAMILY.setdefault(str(read(_name).expected["family"]), []).append(_name)


@pytest.mark.parametrize("key", sorted(BY_FAMILY.keys() - {"None"}))
def test_diffusers_does_with_published_files_what_we_foretell(key: str) -> None:
    """For each published file diffusers changes exactly the layers that the check says, or none."""
    known = family(key)
    assert known is not None
    real = RealLoader(known)
    wrong = []
    for name in BY_FAMILY[key]:
        found = read(name)
        if found.expected["diffusers"] is None:
            continue  # nothing is foretold of it, and the report says so
        wrong.append(
            disagreement(known, real, Case(name, dict(found.shapes), found.document["metadata"] or None))
        )
    assert [each for each in wrong if each] == []
