"""What loaders do with each layout of each family, as measured or read; `data` has a table for each loader.

The table of diffusers is written by `tools/loader_matrix.py`, and a slow test loads everything again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import pattern
from lorry.weights.loaders.conditions import Condition, Effect
from lorry.weights.loaders.layouts import Layout

_BLOCK = re.compile(r"\*|\[\d+-\d+\]")
# A plain path: importlib.resources costs more than the reading.
_FOLDER = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a loader does with one layout of one family.

    Attributes:
        outcome: What it does with an adapter on all layers.
        says: The exception that it raises, in short; empty when it raises none.
        modules: Layers that it changes of an adapter on all layers that it takes.
        of: Layers that an adapter on all layers means.
        skips: Layers that it leaves out without an error, as `blocks.*.attn.to_q`.
        refuses: Layers for which it raises.
        exactly: Layers that must all be there and no others; empty when any will do.
        from_first: Whether `exactly` is about the blocks that the file has, counted from the first.
        beside: Layers that it takes only beside others.
        together: Layers of which a file must have all or none.
        effects: What it does on each condition.
        beside_effects: The same for modules of the layers in `beside`, where it differs.
    """

    outcome: Outcome
    says: str = ""
    modules: int = 0
    of: int = 0
    skips: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    exactly: tuple[str, ...] = ()
    from_first: bool = False
    beside: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    effects: Mapping[Condition, Effect] = field(default_factory=dict)
    beside_effects: Mapping[Condition, Effect] = field(default_factory=dict)

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
        effects: What it usually does on each condition.
        families: By the family's key.
    """

    loader: str
    version: str
    checked: str
    source: str
    effects: Mapping[Condition, Effect]
    families: Mapping[str, FamilyTable]


@cache
def loaders() -> tuple[str, ...]:
    """List the loaders that there is a table for."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


@cache
def table(loader: str) -> LoaderTable | None:
    """Read a loader's table.

    Args:
        loader: Its name.
    """
    if loader not in loaders():
        return None
    return read_table(json.loads(_FOLDER.joinpath(f"{loader}.json").read_bytes()), _FOLDER / loader)


def read_table(document: Mapping[str, Any], folder: Path | None = None) -> LoaderTable:
    """Read a table from its document.

    Args:
        document: The document; its form is the one that `tools/loader_matrix.py` writes.
        folder: Where families have files of their own, which are read when somebody asks.
    """
    usual = _effects(document.get("effects", {}))
    inside = document.get("families", {})
    return LoaderTable(
        loader=document["loader"],
        version=document["version"],
        checked=document["checked"],
        source=document["source"],
        effects=usual,
        families=_Families(inside, usual, folder),
    )


class _Families(Mapping[str, FamilyTable]):
    """The tables of a loader's families, each read when it is asked for."""

    def __init__(
        self, inside: Mapping[str, Any], usual: Mapping[Condition, Effect], folder: Path | None
    ) -> None:
        self._inside, self._usual = inside, usual
        beside = folder.glob("*.json") if folder is not None and folder.is_dir() else ()
        self._files = {file.stem: file for file in sorted(beside)}
        self._read: dict[str, FamilyTable] = {}

    def __getitem__(self, key: str) -> FamilyTable:
        if key not in self._read:
            row = self._inside[key] if key in self._inside else json.loads(self._files[key].read_bytes())
            self._read[key] = _family(row, self._usual)
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._files, **self._inside})

    def __len__(self) -> int:
        return len({*self._files, *self._inside})


@cache
def patterns(templates: tuple[str, ...], flat: bool) -> frozenset[str]:
    """Turn names of layers into the patterns that a file's names are compared with.

    Args:
        templates: Names with `*` or `[0-18]` for the numbers of blocks.
        flat: Whether their dots are underscores in the file.
    """
    lowest = (_BLOCK.sub("0", template) for template in templates)
    return frozenset(pattern(name.replace(".", "_") if flat else name, flat)[0] for name in lowest)


def _family(row: Mapping[str, Any], usual: Mapping[Condition, Effect]) -> FamilyTable:
    return FamilyTable(
        layers=row["layers"],
        layouts={key: _entry(entry, usual) for key, entry in row["layouts"].items()},
        mixed={pair: _two(words) for words, pairs in row.get("mixed", {}).items() for pair in pairs},
    )


def _entry(row: str | Mapping[str, Any], usual: Mapping[Condition, Effect]) -> Entry:
    if isinstance(row, str):  # the short form: an outcome, and what the loader says
        word, _, says = row.partition(": ")
        return Entry(Outcome(word), says, effects=usual)
    return Entry(
        outcome=Outcome(row["outcome"]),
        says=row.get("says", ""),
        modules=row.get("modules", 0),
        of=row.get("of", 0),
        skips=tuple(row.get("skips", ())),
        refuses=tuple(row.get("refuses", ())),
        exactly=tuple(row.get("exactly", ())),
        from_first=row.get("from_first", False),
        beside=tuple(row.get("beside", ())),
        together=tuple(row.get("together", ())),
        effects={**usual, **_effects(row.get("effects", {}))},
        beside_effects=_effects(row.get("beside_effects", {})),
    )


def _effects(row: Mapping[str, str]) -> dict[Condition, Effect]:
    return {Condition(condition): Effect(effect) for condition, effect in row.items()}


def _two(words: str) -> tuple[Effect, Effect]:
    one, _, other = words.partition(" ")
    return Effect(one), Effect(other or one)
