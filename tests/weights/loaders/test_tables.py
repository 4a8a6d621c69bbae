"""The loaders' tables are complete, and speak of layers that there are."""

from __future__ import annotations

import pytest

from lorry.model.verdict import Outcome
from lorry.weights.bases.families import Family, families, layer_names
from lorry.weights.bases.names import rows
from lorry.weights.loaders.conditions import Condition, Effect
from lorry.weights.loaders.layouts import FLAT, Layout, matrix
from lorry.weights.loaders.tables import Entry, FamilyTable, loaders, patterns, read_table, table

PICTURES = [known for known in families() if known.modality != "text"]
EACH = pytest.mark.parametrize("known", PICTURES, ids=lambda known: str(known.key))


def diffusers(known: Family) -> FamilyTable:
    """Read what diffusers does with a family."""
    found = table("diffusers")
    assert found is not None
    return found.families[known.key]


@EACH
def test_every_layout_of_every_family_was_tried_with_diffusers(known: Family) -> None:
    """There is an entry for each layout of the matrix, and the number of layers is the family's."""
    found = diffusers(known)
    assert [layout.key for layout in matrix(known) if found.entry(layout) is None] == []
    assert found.layers == sum(1 for _ in layer_names(known))


@EACH
def test_tables_name_layers_that_the_family_has(known: Family) -> None:
    """What an entry says of single layers is said of names in the family's own table."""
    for layout in matrix(known):
        entry = diffusers(known).entry(layout)
        assert entry is not None
        for names in (entry.skips, entry.refuses, entry.exactly, entry.beside):
            flat = layout.prefix in FLAT
            assert patterns(names, flat) <= rows(known.key, flat).keys(), layout.key


@EACH
def test_the_diffusers_layout_runs(known: Family) -> None:
    """The layout that everything is converted to changes every layer of every family."""
    entry = diffusers(known).entry(Layout("diffusers", "diffusers", "lora_A", alpha=False))
    assert entry is not None
    assert (entry.outcome, entry.modules, entry.of) == (
        Outcome.OK,
        diffusers(known).layers,
        diffusers(known).layers,
    )


@EACH
def test_the_numbers_of_an_entry_agree(known: Family) -> None:
    """No entry changes more layers than there are, and only what changes none leaves the number out."""
    for layout in matrix(known):
        entry = diffusers(known).entry(layout)
        assert entry is not None
        assert (entry.modules > 0) is entry.acts, layout.key
        assert entry.modules <= entry.of <= diffusers(known).layers
        if entry.outcome is Outcome.PARTIAL:
            assert entry.skips, layout.key


def test_there_is_no_table_of_an_unknown_loader() -> None:
    """A loader that nobody looked at has no table, and those with one are listed."""
    assert table("made-up") is None
    assert {"comfyui", "diffusers", "engine", "peft", "vllm"} <= set(loaders())


def test_a_row_with_a_star_stands_for_what_has_no_row_of_its_own() -> None:
    """The most telling row counts; a short row is an outcome and what the loader says."""
    found = read_table({
        "loader": "x", "version": "1", "checked": "2026-11-25", "source": "made up",
        "effects": {"tensor": "refused"},
        "families": {"flux1": {"layers": 1, "layouts": {
            "bare * * *": "refused: ValueError: no",
            "bare diffusers lora_A *": {"outcome": "ok", "effects": {"tensor": "skipped"}},
            "bare diffusers lora_A alpha": "ignored",
        }, "mixed": {"loaded skipped": ["bare diffusers lora_A plain + bare native lora_A plain"]}}},
    }).families["flux1"]  # fmt: skip
    plain, alpha = (Layout("bare", "diffusers", "lora_A", has) for has in (False, True))
    native = Layout("bare", "native", "lora_A", alpha=False)
    assert found.entry(plain) == Entry(Outcome.OK, effects={Condition.TENSOR: Effect.SKIPPED})
    assert found.entry(alpha) == Entry(Outcome.IGNORED, effects={Condition.TENSOR: Effect.REFUSED})
    refused = found.entry(native)
    assert refused is not None
    assert (refused.outcome, refused.says, refused.acts) == (Outcome.REFUSED, "ValueError: no", False)
    assert found.entry(Layout("peft", "native", "lora_A", alpha=False)) is None
    assert found.pair(plain, native) == (Effect.LOADED, Effect.SKIPPED)
    assert found.pair(native, plain) == (Effect.SKIPPED, Effect.LOADED)
    assert found.pair(plain, alpha) is None
