"""What loaders do with each layout of each family, as measured; `data` has a table for each loader.

The table of diffusers is written by `tools/loader_matrix.py`, and a slow test loads everything again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import pattern
from lorry.weights.loaders.conditions import Condition, Effect
from lorry.weights.loaders.layouts import Layout

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a loader does with one layout of one family.

    Attributes:
        outcome: What it does with an adapter on all layers.
        says: The exception that it raises, in short; empty when it raises none.
        skips: Templates of the layers that it leaves out without an error.
        refuses: Templates of the layers for which it raises.
        exactly: Templates of layers that must all be there and no others; empty when any will do.
        from_first: Whether `exactly` is about the blocks that the file has, counted from the first.
        beside: Templates of layers that it takes only beside others.
        effects: What it does on each condition.
    """

    outcome: Outcome
    says: str = ""
    skips: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    exactly: tuple[str, ...] = ()
    from_first: bool = False
    beside: tuple[str, ...] = ()
    effects: Mapping[Condition, Effect] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether it changes any layer."""
        return self.outcome not in (Outcome.IGNORED, Outcome.REFUSED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class FamilyTable:
    """What a loader does with the layouts of one family.

    Attributes:
        layers: Layers of the model that an adapter can change.
        layouts: By `prefix naming suffix alpha`, `*` for any.
        mixed: For two layouts in one file, by `one + other`: what it does with the modules of each.
    """

    layers: int
    layouts: Mapping[str, Entry]
    mixed: Mapping[str, tuple[Effect, Effect]]

    def entry(self, layout: Layout) -> Entry | None:
        """Find what is known of a layout.

        Args:
            layout: The layout.
        """
        alpha = "alpha" if layout.alpha else "plain"
        for words in (
            (layout.prefix, layout.naming, layout.suffix, alpha),
            (layout.prefix, layout.naming, layout.suffix, "*"),
            (layout.prefix, layout.naming, "*", "*"),
            (layout.prefix, "*", "*", "*"),
            ("*", "*", "*", "*"),
        ):
            found = self.layouts.get(" ".join(words))
            if found is not None:
                return found
        return None

    def pair(self, one: Layout, other: Layout) -> tuple[Effect, Effect] | None:
        """Find what is known of a file in two layouts: the effects on the modules of each.

        Args:
            one: A layout.
            other: The other layout.
        """
        found = self.mixed.get(f"{one.key} + {other.key}")
        if found is not None:
            return found
        found = self.mixed.get(f"{other.key} + {one.key}")
        return None if found is None else (found[1], found[0])


@dataclass(frozen=True, slots=True)
class LoaderTable:
    """A loader, and what it does.

    Attributes:
        loader: `diffusers`, `comfyui`, `peft`, `vllm`, or `engine`, the embedded one.
        version: The version that was tried, or the source that was read.
        checked: When.
        source: How.
        families: By the family's key.
    """

    loader: str
    version: str
    checked: str
    source: str
    families: Mapping[str, FamilyTable]


@cache
def loaders() -> tuple[str, ...]:
    """List the loaders that there is a table for."""
    return tuple(sorted(file.stem for file in _folder().glob("*.json")))


@cache
def table(loader: str) -> LoaderTable | None:
    """Read a loader's table.

    Args:
        loader: Its name.
    """
    if loader not in loaders():
        return None
    return read_table(json.loads(_folder().joinpath(f"{loader}.json").read_bytes()))


def read_table(document: Mapping[str, Any]) -> LoaderTable:
    """Read a table from its document.

    Args:
        document: The document; its form is the one that `tools/loader_matrix.py` writes.
    """
    usual = _effects(document.get("effects", {}))
    return LoaderTable(
        loader=document["loader"],
        version=document["version"],
        checked=document["checked"],
        source=document["source"],
        families={key: _family(row, usual) for key, row in document["families"].items()},
    )


@cache
def patterns(templates: tuple[str, ...], flat: bool) -> frozenset[str]:
    """Turn templates of layers into the patterns that names are compared with.

    Args:
        templates: Names with `[0-18]` for ranges of numbers.
        flat: Whether their dots are underscores in the file.
    """
    lowest = (_RANGE.sub(r"\1", template) for template in templates)
    return frozenset(pattern(name.replace(".", "_") if flat else name, flat)[0] for name in lowest)


def _folder() -> Path:
    # A plain path: importlib.resources costs more than the reading.
    return Path(__file__).with_name("data")


def _family(row: Mapping[str, Any], usual: Mapping[Condition, Effect]) -> FamilyTable:
    return FamilyTable(
        layers=row["layers"],
        layouts={key: _entry(entry, usual) for key, entry in row["layouts"].items()},
        mixed={pair: _two(words) for words, pairs in row.get("mixed", {}).items() for pair in pairs},
    )


def _entry(row: str | Mapping[str, Any], usual: Mapping[Condition, Effect]) -> Entry:
    if isinstance(row, str):  # the short form: an outcome, and what the loader says
        word, _, says = row.partition(": ")
        return Entry(Outcome(word), says)
    return Entry(
        outcome=Outcome(row["outcome"]),
        says=row.get("says", ""),
        skips=tuple(row.get("skips", ())),
        refuses=tuple(row.get("refuses", ())),
        exactly=tuple(row.get("exactly", ())),
        from_first=row.get("from_first", False),
        beside=tuple(row.get("beside", ())),
        effects={**usual, **_effects(row.get("effects", {}))},
    )


def _effects(row: Mapping[str, str]) -> dict[Condition, Effect]:
    return {Condition(condition): Effect(effect) for condition, effect in row.items()}


def _two(words: str) -> tuple[Effect, Effect]:
    one, _, other = words.partition(" ")
    return Effect(one), Effect(other or one)
