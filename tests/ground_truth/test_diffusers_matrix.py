"""Where we say "runs", the real diffusers changes exactly the layers that we foretell; elsewhere it does not.

Full-shape models on torch's meta device; nothing is mocked, and nothing of the loaders is replaced.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

pytest.importorskip("diffusers", reason="the extra `diffusers` is not installed")

from diffusers.utils import logging

from lorry.weights.bases.families import Family, family
from lorry.weights.loaders.layouts import Layout, matrix
from lorry.weights.loaders.tables import FamilyTable, table
from tests.ground_truth.comparing import Case, disagreement
from tests.ground_truth.sampling import LAYERS, faulty, mixed, named, partial, whole
from tools.ground_truth.real import RealLoader
from tools.ground_truth.tables import versions
from tools.loader_matrix import loadable

pytestmark = [pytest.mark.slow, pytest.mark.reference]

FAULTY, MIXED = 5, 3  # random files for each family
EVERY = 3  # of so many layouts one is tried; `tools.loader_matrix` tries all of them, whole
WHOLE = 1  # layouts of each family that act and are tried on all layers, the others on some of each kind


def _tables() -> dict[str, FamilyTable]:
    found = table("diffusers")
    assert found is not None
    return dict(found.families)


def test_every_family_that_diffusers_loads_is_in_the_table() -> None:
    """The table has all families that diffusers has a loader for, and is about the installed versions."""
    found = table("diffusers")
    assert found is not None
    assert set(found.families) == {known.key for known in loadable()}
    assert found.version == versions()


@pytest.mark.parametrize("key", sorted(known.key for known in loadable()))
def test_diffusers_does_what_we_foretell(key: str) -> None:
    """For each layout and for random files, outcome and number of changed layers are as foretold."""
    known = family(key)
    assert known is not None
    real = RealLoader(known)
    wrong = [found for case in _cases(known, real) if (found := disagreement(known, real, case))]
    assert wrong == []


def _cases(known: Family, real: RealLoader) -> Iterator[Case]:
    dice = random.Random(known.key)  # noqa: S311 - test data
    found = _tables()[known.key]
    acting: list[Layout] = []
    tried = 0
    for number, layout in enumerate(_representatives(known, found, real, dice)):
        entry = found.entry(layout)
        assert entry is not None, layout.key
        if entry.acts:
            acting.append(layout)
        if number % EVERY == 0:
            tried += entry.acts
            yield from whole(known, real.model, layout, entry, LAYERS if tried > WHOLE else None)
    for _ in range(FAULTY):
        layout = dice.choice(acting)
        entry = found.entry(layout)
        assert entry is not None
        chosen, case = partial(known, real.model, layout, entry, dice)
        yield case
        fault = faulty(known, layout, chosen, dice)
        if fault is not None:
            yield fault
    for pair in dice.sample(sorted(found.mixed), min(MIXED, len(found.mixed))):
        yield mixed(known, real.model, found, pair, dice)


def _representatives(
    known: Family, found: FamilyTable, real: RealLoader, dice: random.Random
) -> list[Layout]:
    """Choose a layout for each row of the table, and two for a row with a `*`, which stands for many."""
    tried = [layout for layout in matrix(known) if named(known, real.model, layout)]
    chosen: list[Layout] = []
    taken: set[str] = set()
    for words in sorted(found.layouts, key=lambda words: words.count("*")):
        members = [layout for layout in tried if fnmatchcase(layout.key, words) and layout.key not in taken]
        assert members, words
        taken.update(layout.key for layout in members)
        chosen += dice.sample(members, min(2, len(members)))
    return chosen


def test_a_process_that_silences_diffusers_sees_the_same() -> None:
    """What nobody wrote is counted however quiet the process has made diffusers, and the quiet stays."""
    known = family("sd1")
    assert known is not None
    real = RealLoader(known)
    name, shape = next((name, shape) for name, shape in real.model.items() if name.endswith("to_q"))
    up_only: dict[str, tuple[int, ...]] = {f"unet.{name}.lora_B.weight": (shape[0], 1)}
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        assert real.load(up_only).random == {name}
        assert logging.get_verbosity() == logging.ERROR
    finally:
        logging.set_verbosity(before)
