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
from typing import NamedTuple

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
    """A name to write with the running numbers of another one: `{}` for each, and what is added to them."""

    words: str
    added: tuple[int, ...]

    def write(self, ranges: tuple[tuple[int, int], ...], numbers: tuple[int, ...]) -> str:
        """Write the name.

        Args:
            ranges: The ranges of the other name's numbers; one that holds a single number does not run.
            numbers: The other name's numbers.
        """
        running = [n for n, (low, high) in zip(numbers, ranges, strict=True) if low != high]
        return self.words.format(*(n + more for n, more in zip(running, self.added, strict=True)))


@cache
def renaming(template: str, target: str) -> Renaming:
    """Pair the ranges of two templates in their order.

    Args:
        template: The template whose numbers are known.
        target: The one to write.
    """
    starts = zip(_RANGE.findall(template), _RANGE.findall(target), strict=True)
    added = tuple(int(there) - int(here) for (here, _), (there, _) in starts)
    return Renaming(_RANGE.sub("{}", target), added)


class Row(NamedTuple):
    """Layers of one shape. A tuple, as a family has hundreds and tuples are made three times as fast.

    Attributes:
        pattern: Their name with `*` for numbers.
        ranges: The lowest and the highest of each number.
        inputs: Inputs of the layer.
        outputs: Outputs of the layer.
        template: Their name with ranges, as the family's data has it.
        to: Templates of the diffusers layers behind it in the order of their rows, each with the row behind
            its last one.
        native: Whether this is the original name.
        swap: Whether the halves of the rows change places.
        takes: Where base models of the family differ in the inputs: the ids of those that take each number.
    """

    pattern: str
    ranges: tuple[tuple[int, int], ...]
    inputs: int
    outputs: int
    template: str
    to: tuple[tuple[str, int], ...]
    native: bool = False
    swap: bool = False
    takes: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @property
    def covers(self) -> int:
        """Diffusers layers behind it: 3 for a fused qkv."""
        return len(self.to)

    def has(self, indexes: tuple[int, ...]) -> bool:
        """Tell whether a layer with these numbers exists."""
        return _within(indexes, self.ranges)

    def fits(self, inputs: int | None, outputs: int | None) -> bool:
        """Tell whether a module of this size is such a layer; `None` is a size that is not known."""
        if outputs not in (None, self.outputs):
            return False
        return inputs in (None, self.inputs) or any(inputs == taken for taken, _ in self.takes)

    def targets(self, indexes: tuple[int, ...]) -> tuple[Target, ...]:
        """Give the diffusers layers behind the layer with these numbers."""
        first = 0
        found = []
        for target, last in self.to:
            written = renaming(self.template, target).write(self.ranges, indexes)
            found.append(Target(written, first, last, self.swap))
            first = last
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Back:
    """The way back of one piece of a native row."""

    ranges: tuple[tuple[int, int], ...]
    template: str
    native: str
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
            written = renaming(back.template, back.native).write(back.ranges, numbers)
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
def heads(key: str) -> frozenset[str]:
    """List the first words of a family's layers in both spellings, such as `double_blocks`.

    Args:
        key: The family's key.
    """
    known = _known(key)
    return frozenset(template.partition(".")[0] for template in (*known.layers, *known.native))


def _rows(known: Family, flat: bool) -> Iterator[Row]:
    for template, (inputs, outputs) in known.layers.items():
        words, ranges = _spans(template, flat)
        takes = _takes(known, template)
        yield Row(words, ranges, inputs, outputs, template, ((template, outputs),), takes=takes)
    for template, layer in known.native.items():
        words, ranges = _spans(template, flat)
        inputs, outputs = 0, 0
        found = []
        for target in layer.to:
            inputs, added = _size(known, target)
            outputs += added
            found.append((target, outputs))
        takes = _takes(known, layer.to[0]) if len(layer.to) == 1 else ()
        yield Row(words, ranges, inputs, outputs, template, tuple(found), True, layer.swap, takes)


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
            back = _Back(ranges, target, template, part, len(layer.to), first, last, layer.swap)
            table.setdefault(words, []).append(back)
            first = last
    return {words: tuple(found) for words, found in table.items()}


def _known(key: str) -> Family:
    return next(known for known in families() if known.key == key)


def _size(known: Family, template: str) -> tuple[int, int]:
    """Look up the inputs and outputs of the layers of a template, which are all of one shape."""
    if template in known.layers:
        inputs, outputs = known.layers[template]
        return inputs, outputs
    words, ranges = _spans(template, False)
    lowest = tuple(low for low, _ in ranges)
    choices = _sizes(known.key)[words]
    return next((inputs, outputs) for spans, inputs, outputs in choices if _within(lowest, spans))


@cache
def _sizes(key: str) -> Mapping[str, list[tuple[tuple[tuple[int, int], ...], int, int]]]:
    """Index the sizes of a family's diffusers layers by their pattern.

    Args:
        key: The family's key.
    """
    table: dict[str, list[tuple[tuple[tuple[int, int], ...], int, int]]] = {}
    for template, (inputs, outputs) in _known(key).layers.items():
        words, ranges = _spans(template, False)
        table.setdefault(words, []).append((ranges, inputs, outputs))
    return table


def _within(numbers: tuple[int, ...], ranges: tuple[tuple[int, int], ...]) -> bool:
    if len(numbers) != len(ranges):
        return False
    for number, (low, high) in zip(numbers, ranges, strict=True):  # noqa: SIM110 - the hottest loop
        if not low <= number <= high:
            return False
    return True


def _spans(template: str, flat: bool) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Split a template into its words and the range of each number, as `pattern` splits a name."""
    pieces: list[str] = []
    ranges: list[tuple[int, int]] = []
    for token in template.split("."):
        if token[0] == "[":
            low, _, high = token[1:-1].partition("-")
            ranges.append((int(low), int(high)))
            pieces.append("*")
        elif token.isdecimal():
            ranges.append((int(token), int(token)))
            pieces.append("*")
        else:
            word, numbers = pattern(token, True) if flat else (token, ())
            ranges += [(number, number) for number in numbers]
            pieces.append(("_" if flat else ".") + word)
    return "".join(pieces)[1:], tuple(ranges)
