"""Tell from its layers which base model an adapter was trained for, and keep every candidate's reason.

Names and shapes decide, never a label: blocks counted and widths compared as in LoRA formats dossier 1.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lorry.model.verdict import Outcome
from lorry.weights.adapter.modules import Adapter, Module, Signature, signatures
from lorry.weights.bases.families import Family, families
from lorry.weights.bases.names import Row, rows


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


@dataclass(frozen=True, slots=True)
class Identity:
    """What an adapter was trained for.

    Attributes:
        best: The family that fits; `None` when none does.
        rivals: Other families that fit as well.
        candidates: Every family's fit, best first.
    """

    best: Fit | None
    rivals: tuple[Fit, ...]
    candidates: tuple[Fit, ...]


#: Below this share of fitting modules a family is not what the file was trained for. Half: a file damaged
#: in some modules still has its family, a Qwen-Image file on FLUX.1's first 19 of 60 blocks has not.
ENOUGH = 0.5


def identify(adapter: Adapter, hints: Sequence[Family] = ()) -> Identity:
    """Compare an adapter with every family.

    Args:
        adapter: The adapter.
        hints: Families that the user, the header or a neighbour names; they decide between equal fits.
    """
    groups = tuple(signatures(adapter))
    keys = [hint.key for hint in hints]
    fits = [_fit(known, groups) for known in families()]
    top = max(fit.share for fit in fits)

    def merit(fit: Fit) -> tuple[float, int, float, int]:
        hinted = len(keys) - keys.index(fit.family.key) if fit.family.key in keys else 0
        coverage = fit.coverage if fit.share == top else 0.0  # decides between equals only
        return fit.share, hinted, coverage, -len(fit.strangers)

    candidates = tuple(sorted(fits, key=merit, reverse=True))
    best = candidates[0]
    if best.share < ENOUGH:
        return Identity(None, (), candidates)
    rivals = tuple(fit for fit in candidates[1:] if fit.share == best.share)
    return Identity(best, () if best.family.key in keys else rivals, candidates)


def fit_to(adapter: Adapter, known: Family) -> Fit:
    """Compare an adapter with one family.

    Args:
        adapter: The adapter.
        known: The family.
    """
    return _fit(known, tuple(signatures(adapter)))


def changed_layers(fit: Fit, adapter: Adapter) -> int:
    """Count the base layers that a diffusers-style loader is expected to change.

    Args:
        fit: How the adapter lies on the family.
        adapter: The same adapter.
    """
    if fit.outcome(adapter) is Outcome.REFUSED:
        return 0
    spellings = {(module.layout, module.spelling) for module in adapter.denoiser}
    outcomes = {
        (layout, spelling): fit.family.outcome(layout, fit.naming, spelling, adapter.has_alpha)
        for layout, spelling in spellings
    }
    # A file that mixes spellings is judged module by module: a loader reads one and skips the other.
    return sum(
        row.covers
        for module, row, _ in fit.matched
        if module.sound and module.adapter is None and _acts(outcomes[module.layout, module.spelling], row)
    )


def _fit(known: Family, groups: Sequence[Signature]) -> Fit:
    matched: list[tuple[Module, Row, tuple[int, ...]]] = []
    misfits: list[Misfit] = []
    outside: list[Module] = []
    strangers: list[Module] = []
    for group in groups:
        choices = rows(known.key, group.flat).get(group.pattern)
        if choices is None:
            strangers += [module for _, module in group.members]
            continue
        lowest, highest = group.corners
        whole = next((row for row in choices if row.has(lowest) and row.has(highest)), None)
        for numbers, module in group.members:
            row = whole or next((row for row in choices if row.has(numbers)), None)
            if row is None:
                outside.append(module)
            elif _fits(group, row):
                matched.append((module, row, numbers))
            else:
                misfits.append(Misfit(module, row))
    return Fit(known, tuple(matched), tuple(misfits), tuple(outside), tuple(strangers))


def _fits(group: Signature, row: Row) -> bool:
    return group.inputs in (None, row.inputs) and group.outputs in (None, row.outputs)


def _acts(outcome: Outcome, row: Row) -> bool:
    """Tell whether a loader changes the layer of a row when it treats the layout like this."""
    return outcome not in (Outcome.IGNORED, Outcome.REFUSED) and not (
        outcome is Outcome.PARTIAL and row.native
    )


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
