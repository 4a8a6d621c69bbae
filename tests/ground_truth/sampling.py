"""Files as they come: a part of the blocks, a few faults, two spellings; chosen by a seed for each family."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from lorry.weights.bases.families import Family
from lorry.weights.loaders.conditions import Condition
from lorry.weights.loaders.layouts import Layout
from lorry.weights.loaders.tables import Entry, FamilyTable
from tests.ground_truth.comparing import Case
from tools.ground_truth.adapters import Layer, Model, can_have, layers, spell
from tools.ground_truth.trials import trial

#: Layers of a random file, about.
LAYERS = 100


def named(known: Family, model: Model, layout: Layout) -> list[Layer]:
    """List the layers that a file in a layout can have."""
    found = layers(known, model, layout.naming, xlabs=layout.prefix == "xlabs")
    return [layer for layer in found if can_have(layout, layer)]


def thinned(found: list[Layer], most: int) -> list[Layer]:
    """Leave out layers of which there are many alike: one of each row stays, and evenly some of the others.

    peft takes 8 ms to wrap one, so that files on all of a large model's layers would be most of the time.
    """
    if len(found) <= most:
        return found
    firsts = {layer.row: number for number, layer in reversed(list(enumerate(found)))}
    kept = {*firsts.values(), *range(0, len(found), -(-len(found) // most))}
    return [found[number] for number in sorted(kept)]


def whole(
    known: Family, model: Model, layout: Layout, entry: Entry, most: int | None = None
) -> Iterator[Case]:
    """Make the file on all layers, and, where some make the loader raise, the file on all others."""
    everything = named(known, model, layout)
    everything = everything if most is None else thinned(everything, most)
    yield Case(f"{layout.key}, all layers", spell(known, layout, everything))
    taken = [layer for layer in everything if takes(entry, layer)]
    if entry.acts and len(taken) < len(everything):
        yield Case(f"{layout.key}, the layers that it takes", spell(known, layout, taken))


def takes(entry: Entry, layer: Layer) -> bool:
    """Tell whether a loader takes a layer in a layout."""
    row = re.sub(r"\[\d+-\d+\]", "*", layer.row)
    return row not in entry.refuses and (not entry.exactly or row in entry.exactly)


def partial(
    known: Family, model: Model, layout: Layout, entry: Entry, dice: random.Random
) -> tuple[list[Layer], Case]:
    """Make a file on a random part of the layers that the loader takes, as of a few kinds in a few blocks."""
    taken = [layer for layer in named(known, model, layout) if takes(entry, layer)]
    rows = sorted({layer.row for layer in taken})
    kinds = set(dice.sample(rows, dice.randint(1, len(rows))))
    share = dice.choice((0.05, 0.2, 0.5, 1.0))
    chosen = [layer for layer in taken if layer.row in kinds and dice.random() < share] or taken[:1]
    chosen = thinned(chosen, LAYERS)
    return chosen, Case(f"{layout.key}, {len(chosen)} layers", spell(known, layout, chosen))


def faulty(known: Family, layout: Layout, chosen: list[Layer], dice: random.Random) -> Case | None:
    """Make a file with one thing wrong or unusual."""
    condition = dice.choice(list(Condition))
    tried = trial(known, layout, chosen, condition)
    return Case(f"{layout.key}, {len(chosen)} layers, {condition}", *tried[:2]) if tried else None


def mixed(known: Family, model: Model, table: FamilyTable, pair: str, dice: random.Random) -> Case:
    """Make a file of two spellings, on layers that either takes and both don't share."""
    one, other = (read(words) for words in pair.split(" + "))
    mine = _some(known, model, one, table, dice, set())
    theirs = _some(known, model, other, table, dice, {target for layer in mine for target in layer.to})
    shapes = {**spell(known, one, mine), **spell(known, other, theirs)}
    return Case(f"{pair}, {len(mine)} and {len(theirs)} layers", shapes)


def read(words: str) -> Layout:
    """Read a layout's key."""
    prefix, naming, suffix, alpha = words.split()
    return Layout(prefix, naming, suffix, alpha == "alpha")


def _some(
    known: Family, model: Model, layout: Layout, table: FamilyTable, dice: random.Random, used: set[str]
) -> list[Layer]:
    entry = table.entry(layout)
    found = [
        layer
        for layer in named(known, model, layout)
        if (entry is None or takes(entry, layer)) and not used & set(layer.to)
    ]
    return dice.sample(found, min(len(found), dice.randint(2, 40)))
