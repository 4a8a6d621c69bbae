"""How an adapter's modules lie on the layers of one family of base models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lorry.model.verdict import Outcome
from lorry.weights.adapter.modules import Adapter, Module, Signature
from lorry.weights.bases.families import Base, Family
from lorry.weights.bases.names import Row, heads, rows


@dataclass(frozen=True, slots=True)
class Misfit:
    """A module whose name is a layer's and whose size is not."""

    module: Module
    row: Row


@dataclass(frozen=True, slots=True)
class Fit:
    """How an adapter's modules lie on a family's layers.

    Attributes:
        family: The family.
        matched: Modules that are a layer in name and size, each with the layer's row and numbers.
        misfits: Modules whose name is a layer's but whose size differs.
        outside: Modules whose block number is beyond the family's blocks.
        strangers: Modules whose name is no layer's.
    """

    family: Family
    matched: tuple[tuple[Module, Row, tuple[int, ...]], ...]
    misfits: tuple[Misfit, ...]
    outside: tuple[Module, ...]
    strangers: tuple[Module, ...]

    @property
    def total(self) -> int:
        """Modules in all."""
        return len(self.matched) + len(self.misfits) + len(self.outside) + len(self.strangers)

    @property
    def share(self) -> float:
        """The share of modules that are a layer in name and size."""
        return len(self.matched) / self.total if self.total else 0.0

    @property
    def coverage(self) -> float:
        """The share of each matched row's layers that the adapter changes, on average."""
        reached: dict[Row, set[tuple[int, ...]]] = defaultdict(set)
        for _, row, numbers in self.matched:
            reached[row].add(numbers)
        shares = [len(found) / _layers_in(row) for row, found in reached.items()]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def naming(self) -> str:
        """`native` when names occur that only the original model has, else `diffusers`."""
        return "native" if any(row.native for _, row, _ in self.matched) else "diffusers"

    @property
    def bases(self) -> tuple[Base, ...]:
        """The family's base models that take the inputs of every matched module."""
        allowed = [
            {base for inputs, ids in row.takes if inputs == module.size[0] for base in ids}
            for module, row, _ in self.matched
            if row.takes and module.size[0] is not None
        ]
        return tuple(base for base in self.family.bases if all(base.id in ids for ids in allowed))

    def unlike(self, base: Base) -> str | None:
        """Say which module shows that the adapter is for another base model of the family.

        Args:
            base: A base model of the family.

        Returns:
            One clause, or `None` when nothing speaks against it.
        """
        for module, row, _ in self.matched:
            taken = [inputs for inputs, ids in row.takes if base.id in ids]
            if taken and module.size[0] not in (None, *taken):
                there = " or ".join(map(str, taken))
                return f"{module.name} takes {module.size[0]} inputs in the file and {there} in {base.id}"
        return None

    def outcome(self, adapter: Adapter) -> Outcome:
        """Tell what a diffusers-style loader for this family does with the adapter's layout.

        Args:
            adapter: The same adapter.
        """
        return self.family.outcome(adapter.layout or "", self.naming, adapter.spelling, adapter.has_alpha)

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


def fit(known: Family, groups: Sequence[Signature]) -> Fit:
    """Compare groups of modules with a family's layers.

    Args:
        known: The family.
        groups: An adapter's modules by name pattern and size.
    """
    matched: list[tuple[Module, Row, tuple[int, ...]]] = []
    misfits: list[Misfit] = []
    outside: list[Module] = []
    strangers: list[Module] = []
    for group in groups:
        choices = rows(known.key, group.flat).get(group.pattern) if _concerns(known, group) else None
        if choices is None:
            strangers += [module for _, module in group.members]
            continue
        lowest, highest = group.corners
        whole = next((row for row in choices if row.has(lowest) and row.has(highest)), None)
        if whole is not None and whole.fits(group.inputs, group.outputs):
            matched += [(module, whole, numbers) for numbers, module in group.members]
            continue
        for numbers, module in group.members:
            row = whole or next((row for row in choices if row.has(numbers)), None)
            if row is None:
                outside.append(module)
            elif row.fits(group.inputs, group.outputs):
                matched.append((module, row, numbers))
            else:
                misfits.append(Misfit(module, row))
    return Fit(known, tuple(matched), tuple(misfits), tuple(outside), tuple(strangers))


def _concerns(known: Family, group: Signature) -> bool:
    """Tell by the first word whether a family may have such layers, before its tables are made."""
    if group.flat:
        return group.pattern.startswith(heads(known.key))
    return group.pattern.partition(".")[0].partition("*")[0] in heads(known.key)


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
