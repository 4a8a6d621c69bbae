"""How an adapter's modules lie on the layers of one family of base models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from lorry.weights.adapter.modules import Adapter, Module, Signature, signatures
from lorry.weights.bases.families import Base, Family
from lorry.weights.bases.names import Row, heads, rows

#: Modules of one pattern with their numbers, as a signature has them.
_Members = Sequence[tuple[tuple[int, ...], Module]]


class Misfit(NamedTuple):
    """A module whose name is a layer's and whose size is not."""

    module: Module
    row: Row


@dataclass(frozen=True)
class Fit:
    """How an adapter's modules lie on a family's layers; lists of modules are made when somebody asks.

    Attributes:
        family: The family.
        total: Modules in all.
        fitting: Groups that are layers in name and size, each with the layers' row.
        other_size: Groups whose names are layers' but whose size differs.
        beyond: Groups whose block numbers are beyond the family's blocks.
        strange: Groups whose names are no layers'.
    """

    family: Family
    total: int
    fitting: tuple[tuple[Row, _Members], ...]
    other_size: tuple[tuple[Row, _Members], ...]
    beyond: tuple[_Members, ...]
    strange: tuple[_Members, ...]

    @cached_property
    def matched(self) -> tuple[tuple[Module, Row, tuple[int, ...]], ...]:
        """Modules that are a layer in name and size, each with the layer's row and numbers."""
        return tuple((module, row, numbers) for row, found in self.fitting for numbers, module in found)

    @cached_property
    def misfits(self) -> tuple[Misfit, ...]:
        """Modules whose name is a layer's but whose size differs."""
        return tuple(Misfit(module, row) for row, found in self.other_size for _, module in found)

    @cached_property
    def outside(self) -> tuple[Module, ...]:
        """Modules whose block number is beyond the family's blocks."""
        return tuple(module for found in self.beyond for _, module in found)

    @cached_property
    def strangers(self) -> tuple[Module, ...]:
        """Modules whose name is no layer's."""
        return tuple(module for found in self.strange for _, module in found)

    @property
    def share(self) -> float:
        """The share of modules that are a layer in name and size."""
        return sum(len(found) for _, found in self.fitting) / self.total if self.total else 0.0

    @property
    def unnamed(self) -> int:
        """How many modules have names that are no layers'."""
        return sum(map(len, self.strange))

    @property
    def coverage(self) -> float:
        """The share of each matched row's layers that the adapter changes, on average."""
        reached: dict[Row, set[tuple[int, ...]]] = defaultdict(set)
        for row, members in self.fitting:
            reached[row].update(numbers for numbers, _ in members)
        shares = [len(found) / _layers_in(row) for row, found in reached.items()]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def naming(self) -> str:
        """`native` when names occur that only the original model has, else `diffusers`."""
        return "native" if any(row.native for row, _ in self.fitting) else "diffusers"

    @property
    def bases(self) -> tuple[Base, ...]:
        """The family's base models that take the inputs of every matched module."""
        return tuple(base for base in self.family.bases if self.unlike(base) is None)

    def unlike(self, base: Base) -> str | None:
        """Say which module shows that the adapter is for another base model of the family.

        Args:
            base: A base model of the family.

        Returns:
            One clause, or `None` when nothing speaks against it.
        """
        for row, members in self.fitting:
            taken = [inputs for inputs, ids in row.takes if base.id in ids]
            for _, module in members if taken else ():
                if module.size[0] not in (None, *taken):
                    there = " or ".join(map(str, taken))
                    return f"{module.name} takes {module.size[0]} inputs in the file and {there} in {base.id}"
        return None

    def reason(self) -> str:
        """Say in one sentence why it fits or does not."""
        if not self.total:
            return f"{self.family}: there are no modules"
        if self.share == 1.0:
            return f"{self.family}: all {self.total} modules fit"
        said = [f"{len(self.matched)} of {self.total} modules fit"]
        if self.outside:
            said.append(f"{len(self.outside)} are beyond its blocks, such as {self.outside[0].name}")
        if self.misfits:
            said.append(_misfit_words(self.misfits[0]))
        if self.strangers:
            said.append(f"{len(self.strangers)} have other names, such as {self.strangers[0].name}")
        return f"{self.family}: {'; '.join(said)}"


class Group(NamedTuple):
    """Modules of one pattern and size, and the corners of the box that holds their numbers."""

    signature: Signature
    head: str
    lowest: tuple[int, ...]
    highest: tuple[int, ...]


def grouped(adapter: Adapter) -> tuple[Group, ...]:
    """Group an adapter's modules by name and size, which is done once for all families.

    Args:
        adapter: The adapter.
    """
    return tuple(
        Group(found, found.pattern.partition(".")[0].partition("*")[0], *found.corners)
        for found in signatures(adapter)
    )


def fit(known: Family, groups: Sequence[Group]) -> Fit:
    """Compare groups of modules with a family's layers.

    Args:
        known: The family.
        groups: An adapter's modules.
    """
    total = sum(len(group.signature.members) for group in groups)
    if not any(_concerns(known, group) for group in groups):  # its tables need not be made
        return Fit(known, total, (), (), (), tuple(group.signature.members for group in groups))
    fitting: list[tuple[Row, _Members]] = []
    other_size: list[tuple[Row, _Members]] = []
    beyond: list[_Members] = []
    strange: list[_Members] = []
    for signature, _, lowest, highest in groups:
        choices = rows(known.key, signature.flat).get(signature.pattern)
        if choices is None:
            strange.append(signature.members)
            continue
        for row, members in _sorted(choices, signature.members, lowest, highest):
            if row is None:
                beyond.append(members)
            elif row.fits(signature.inputs, signature.outputs):
                fitting.append((row, members))
            else:
                other_size.append((row, members))
    return Fit(known, total, tuple(fitting), tuple(other_size), tuple(beyond), tuple(strange))


def _sorted(
    choices: Sequence[Row], members: _Members, lowest: tuple[int, ...], highest: tuple[int, ...]
) -> Iterable[tuple[Row | None, _Members]]:
    """Sort modules of one pattern by the row that has their numbers."""
    whole = next((row for row in choices if row.has(lowest) and row.has(highest)), None)
    if whole is not None:
        return ((whole, members),)
    if len(choices) == 1 and len(choices[0].ranges) == len(lowest):
        return _cut(choices[0], members, lowest, highest)
    found: list[tuple[Row | None, list[tuple[tuple[int, ...], Module]]]]
    found = [(row, []) for row in (*choices, None)]
    for each in members:
        place = next((place for place, row in enumerate(choices) if row.has(each[0])), -1)
        found[place][1].append(each)
    return [(row, inside) for row, inside in found if inside]


def _cut(
    row: Row, members: _Members, lowest: tuple[int, ...], highest: tuple[int, ...]
) -> Iterable[tuple[Row | None, _Members]]:
    """Cut off the modules beyond the only row, place by place, which is the hottest loop."""
    inside: _Members = members
    beyond: list[tuple[tuple[int, ...], Module]] = []
    for place, (low, high) in enumerate(row.ranges):
        if lowest[place] < low or highest[place] > high:
            beyond += [each for each in inside if not low <= each[0][place] <= high]
            inside = [each for each in inside if low <= each[0][place] <= high]
    return [(found, each) for found, each in ((row, inside), (None, beyond)) if each]


def _concerns(known: Family, group: Group) -> bool:
    """Tell by the first word whether a family may have such layers."""
    first = heads(known.key)
    return group.head.startswith(tuple(first)) if group.signature.flat else group.head in first


def _layers_in(row: Row) -> int:
    count = 1
    for low, high in row.ranges:
        count *= high - low + 1
    return count


def _misfit_words(misfit: Misfit) -> str:
    inputs, outputs = misfit.module.size
    row = misfit.row
    if inputs is not None and inputs != row.inputs:
        return f"{misfit.module.name} takes {inputs} inputs in the file and {row.inputs} in the base"
    return f"{misfit.module.name} gives {outputs} outputs in the file and {row.outputs} in the base"
