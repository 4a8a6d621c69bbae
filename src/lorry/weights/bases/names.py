"""Translate the names of layers: from any spelling to diffusers' names, and back to the original ones.

Both ways are tables of templates, never rules of thumb: `double_blocks.[0-18].img_attn.qkv` is three layers
of diffusers, whose outputs lie below each other in the fused matrix. A name with underscores for dots is
found in the same tables, as no two layers of a family flatten to one name (LoRA formats dossier, 1.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from lorry.weights.adapter.keys import pattern
from lorry.weights.bases.families import Family, families

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


@dataclass(frozen=True, slots=True)
class Target:
    """A diffusers layer behind a name, and its rows of the matrix at the output (B, `lora_up`).

    Attributes:
        name: The layer's dotted diffusers name.
        first: Its first row.
        last: The row behind its last one, so that `B[first:last]` is its part.
        swap: Whether the two halves of its rows change places: scale and shift of a modulation.
    """

    name: str
    first: int
    last: int
    swap: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a diffusers layer lies in the original model.

    Attributes:
        name: The dotted original name.
        part: Which part of a fused layer it is, from 0.
        parts: How many parts that has.
        first: Its first row of the fused matrix at the output.
        last: The row behind its last one.
        swap: Whether the two halves of its rows change places.
    """

    name: str
    part: int
    parts: int
    first: int
    last: int
    swap: bool = False


@dataclass(frozen=True, slots=True)
class Renaming:
    """A name to write with the numbers of another: `{}` for each, its place there and what is added."""

    words: str
    numbers: tuple[tuple[int, int], ...]

    def write(self, numbers: tuple[int, ...]) -> str:
        """Write the name.

        Args:
            numbers: The numbers of the other name.
        """
        return self.words.format(*(numbers[place] + added for place, added in self.numbers))


@dataclass(frozen=True, slots=True)
class Row:
    """Layers of one shape: a name with `*` for numbers, the ranges of those, inputs, outputs.

    `pieces` are the diffusers layers behind it in the order of their rows, with the row behind the last.
    Where base models of the family differ in the inputs, `takes` has the ids of those that take each number.
    """

    pattern: str
    ranges: tuple[tuple[int, int], ...]
    inputs: int
    outputs: int
    native: bool
    swap: bool
    pieces: tuple[tuple[Renaming, int], ...]
    takes: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @property
    def covers(self) -> int:
        """Diffusers layers behind it: 3 for a fused qkv."""
        return len(self.pieces)

    def has(self, indexes: tuple[int, ...]) -> bool:
        """Tell whether a layer with these numbers exists."""
        if len(indexes) != len(self.ranges):
            return False
        for index, (low, high) in zip(indexes, self.ranges, strict=True):  # noqa: SIM110 - the hottest loop
            if not low <= index <= high:
                return False
        return True

    def fits(self, inputs: int | None, outputs: int | None) -> bool:
        """Tell whether a module of this size is such a layer; `None` is a size that is not known."""
        if outputs not in (None, self.outputs):
            return False
        return inputs in (None, self.inputs) or any(inputs == taken for taken, _ in self.takes)

    def targets(self, indexes: tuple[int, ...]) -> tuple[Target, ...]:
        """Give the diffusers layers behind the layer with these numbers."""
        first = 0
        found = []
        for renaming, last in self.pieces:
            found.append(Target(renaming.write(indexes), first, last, self.swap))
            first = last
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Back:
    """The way back of one piece of a native row."""

    ranges: tuple[tuple[int, int], ...]
    renaming: Renaming
    part: int
    parts: int
    first: int
    last: int
    swap: bool


def to_diffusers(family: Family, module: str, flat: bool) -> tuple[Target, ...]:
    """Give the diffusers layers that a module name means.

    Args:
        family: The family.
        module: A layer's name without prefix and suffix, in diffusers' or the original spelling.
        flat: Whether its dots were turned into underscores.

    Returns:
        The layers in the order of their rows; none when the family has no such layer.
    """
    words, numbers = pattern(module, flat)
    for row in rows(family.key, flat).get(words, ()):
        if row.has(numbers):
            return row.targets(numbers)
    return ()


def to_native(family: Family, name: str) -> Place | None:
    """Give the place of a diffusers layer in the original model.

    Args:
        family: The family.
        name: The layer's dotted diffusers name.

    Returns:
        The place, with the same name where both agree; `None` when there is no such layer.
    """
    words, numbers = pattern(name, False)
    for back in _backs(family.key).get(words, ()):
        if _within(numbers, back.ranges):
            written = back.renaming.write(numbers)
            return Place(written, back.part, back.parts, back.first, back.last, back.swap)
    for row in rows(family.key, False).get(words, ()):
        if not row.native and row.has(numbers):
            return Place(name, 0, 1, 0, row.outputs)
    return None


@cache
def rows(key: str, flat: bool) -> Mapping[str, tuple[Row, ...]]:
    """Give a family's layers by their pattern.

    Args:
        key: The family's key.
        flat: Whether to spell the layers with underscores for dots.
    """
    table: dict[str, list[Row]] = {}
    for row in _rows(_known(key), flat):
        table.setdefault(row.pattern, []).append(row)
    return {words: tuple(found) for words, found in table.items()}


@cache
def heads(key: str) -> tuple[str, ...]:
    """List the first words of a family's layers in both spellings, such as `double_blocks`.

    Args:
        key: The family's key.
    """
    known = _known(key)
    return tuple({template.partition(".")[0] for template in (*known.layers, *known.native)})


def _rows(known: Family, flat: bool) -> Iterator[Row]:
    for template, (inputs, outputs) in known.layers.items():
        words, ranges = _spans(template, flat)
        pieces = ((_renaming(ranges, template, template), outputs),)
        yield Row(words, ranges, inputs, outputs, False, False, pieces, _takes(known, template))
    for template, layer in known.native.items():
        words, ranges = _spans(template, flat)
        inputs, outputs = 0, 0
        found = []
        for target in layer.to:
            inputs, added = _size(known, target)
            outputs += added
            found.append((_renaming(ranges, template, target), outputs))
        takes = _takes(known, layer.to[0]) if len(layer.to) == 1 else ()
        yield Row(words, ranges, inputs, outputs, True, layer.swap, tuple(found), takes)


def _takes(known: Family, template: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Say which base models take how many inputs at a layer, where they differ."""
    if not any(template in base.takes for base in known.bases):
        return ()
    taken: dict[int, list[str]] = {}
    for base in known.bases:
        for inputs in base.takes.get(template, known.layers[template][:1]):
            taken.setdefault(inputs, []).append(base.id)
    return tuple((inputs, tuple(ids)) for inputs, ids in taken.items())


@cache
def _backs(key: str) -> Mapping[str, tuple[_Back, ...]]:
    """Index native rows by the diffusers layers behind them; of two names the first is the name."""
    known = _known(key)
    table: dict[str, list[_Back]] = {}
    for template, layer in known.native.items():
        first = 0
        for part, target in enumerate(layer.to):
            words, ranges = _spans(target, False)
            last = first + _size(known, target)[1]
            renaming = _renaming(ranges, target, template)
            back = _Back(ranges, renaming, part, len(layer.to), first, last, layer.swap)
            table.setdefault(words, []).append(back)
            first = last
    return {words: tuple(found) for words, found in table.items()}


def _known(key: str) -> Family:
    return next(known for known in families() if known.key == key)


@cache
def _shapes(key: str) -> Mapping[str, tuple[tuple[tuple[tuple[int, int], ...], int, int], ...]]:
    table: dict[str, list[tuple[tuple[tuple[int, int], ...], int, int]]] = {}
    for template, (inputs, outputs) in _known(key).layers.items():
        words, ranges = _spans(template, False)
        table.setdefault(words, []).append((ranges, inputs, outputs))
    return {words: tuple(found) for words, found in table.items()}


def _size(known: Family, template: str) -> tuple[int, int]:
    """Look up the inputs and outputs of the layers of a template, which are all of one shape."""
    words, ranges = _spans(template, False)
    lowest = tuple(low for low, _ in ranges)
    return next((i, o) for spans, i, o in _shapes(known.key)[words] if _within(lowest, spans))


def _within(numbers: tuple[int, ...], ranges: tuple[tuple[int, int], ...]) -> bool:
    return len(numbers) == len(ranges) and all(
        low <= number <= high for number, (low, high) in zip(numbers, ranges, strict=True)
    )


def _spans(template: str, flat: bool) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Split a template into its words and the range of each number."""
    # The lowest and the highest name of a range differ in their numbers only.
    low, high = (_RANGE.sub(rf"\{end}", template) for end in (1, 2))
    if flat:
        low, high = low.replace(".", "_"), high.replace(".", "_")
    words, lowest = pattern(low, flat)
    _, highest = pattern(high, flat)
    return words, tuple(zip(lowest, highest, strict=True))


def _renaming(ranges: tuple[tuple[int, int], ...], template: str, target: str) -> Renaming:
    """Pair the ranges of two templates in their order."""
    places = [place for place, (low, high) in enumerate(ranges) if low != high]
    starts = zip(_RANGE.findall(template), _RANGE.findall(target), strict=True)
    added = [int(there) - int(here) for (here, _), (there, _) in starts]
    return Renaming(_RANGE.sub("{}", target), tuple(zip(places, added, strict=True)))
