"""What is wrong between an adapter and its base model: which one it is, layers, layout, labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.model.verdict import Outcome
from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.families import Base, Family, base_named, family
from lorry.weights.bases.identify import Fit, Identity, fit_to, identify
from lorry.weights.catalogue import finding, some
from lorry.weights.files.header import Header

_DOES = {
    Outcome.IGNORED: "its loader ignores all of them and draws plain base-model pictures",
    Outcome.REFUSED: "its loader refuses the file",
    Outcome.PARTIAL: "its loader reads only part of them",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which base an adapter is for, and everything found about that."""

    fit: Fit | None
    base: Base | None
    findings: tuple[Finding, ...]


def judge_base(adapter: Adapter, header: Header, labels: Sequence[str], declared: str | None) -> Judgement:
    """Identify the base model and compare it with what is declared and with what labels say.

    Args:
        adapter: The file's modules.
        header: The file's header.
        labels: Names of base models in the header and in neighbouring files, most trusted first.
        declared: The base model that the user names.
    """
    wanted = family(declared) if declared else None
    named = [found for label in labels if (found := family(label)) is not None]
    identity = identify(adapter, [wanted, *named] if wanted else named)
    fit = identity.best
    base = _base(fit, labels, declared)
    findings = [
        *_declared(adapter, identity, declared, wanted),
        *_identity(identity, base, declared),
        *_labels(fit, named, labels),
    ]
    if fit is not None:
        findings += [*_layers(fit, adapter, header), *_layout(fit, adapter), *_partial(fit)]
    return Judgement(fit, base, tuple(findings))


def _base(fit: Fit | None, labels: Sequence[str], declared: str | None) -> Base | None:
    if fit is None:
        return None
    for name in (*labels, *([declared] if declared else [])):
        found = base_named(name)
        if found is not None and found in fit.family.bases:
            return found
    return fit.family.bases[0] if len(fit.family.bases) == 1 else None


def _declared(
    adapter: Adapter, identity: Identity, declared: str | None, wanted: Family | None
) -> Iterator[Finding]:
    if declared is None:
        return
    if wanted is None:
        message = f"{declared} is none of the base models in the table, so nothing could be compared with it."
        yield finding("BASE_NOT_LISTED", message, declared=declared)
    elif identity.best is None or identity.best.family.key != wanted.key:
        trained = (
            f"trained for {identity.best.family}" if identity.best else "trained for no family in the table"
        )
        why = fit_to(adapter, wanted).reason()
        message = f"The file was {trained}, and {declared} was named. {why}."
        found = identity.best.family.key if identity.best else None
        yield finding(
            "BASE_MISMATCH", message, expected=wanted.key, found=found, candidates=_reasons(identity)
        )


def _identity(identity: Identity, base: Base | None, declared: str | None) -> Iterator[Finding]:
    if identity.best is None:
        nearest = identity.candidates[0]
        known = len(nearest.strangers) < nearest.total
        example = (
            f"no layer is called {nearest.strangers[0].name}" if nearest.strangers else "it has no layers"
        )
        why = f"nearest is {nearest.reason()}" if known else example
        message = f"The layers fit none of {len(identity.candidates)} families; {why}."
        yield finding("BASE_UNKNOWN", message, candidates=_reasons(identity))
    elif identity.rivals:
        names = [fit.family.name for fit in (identity.best, *identity.rivals)]
        message = (
            f"All modules fit {some(names)} equally; {names[0]} is taken, as its blocks are covered best."
        )
        yield finding("BASE_AMBIGUOUS", message, candidates=_reasons(identity))
    elif base is None:
        names = [known.id for known in identity.best.family.bases]
        message = f"{identity.best.family.name} has {len(names)} models with these layers: {some(names)}."
        yield finding("BASE_AMBIGUOUS", message, candidates=names, declared=declared)


def _labels(fit: Fit | None, named: Sequence[Family], labels: Sequence[str]) -> Iterator[Finding]:
    if fit is None or not named or named[0].key == fit.family.key:
        return
    label = next(label for label in labels if family(label) is named[0])
    message = f"A label says {label} ({named[0].name}), but the layers are those of {fit.family}."
    yield finding("BASE_LABEL", message, expected=fit.family.key, found=label)


def _layers(fit: Fit, adapter: Adapter, header: Header) -> Iterator[Finding]:
    if fit.misfits:
        first = fit.misfits[0]
        expected = first.row.inputs, first.row.outputs
        names = [misfit.module.name for misfit in fit.misfits]
        others = f"have other inputs and outputs than the layers of {fit.family.name}"
        message = (
            f"{len(names)} of {fit.total} modules {others}: "
            f"{first.module.name} has {_size(first.module.size)}, the base {_size(expected)}."
        )
        yield finding(
            "SHAPE_MODULE",
            message,
            subject=names[0],
            expected=expected,
            found=list(first.module.size),
            modules=names,
        )
    modules = [*fit.outside, *fit.strangers]
    unknown = [tensor.name for module in modules for found in module.tensors.values() for tensor in found]
    unknown += [tensor.name for tensor in adapter.strangers]
    if unknown:
        named = f"no layer of {fit.family.name}: {some(unknown)}"
        message = f"{len(unknown)} of {len(header.tensors)} tensors match {named}."
        yield finding("KEYS_UNKNOWN", message, subject=unknown[0], tensors=unknown[:50], count=len(unknown))


def _layout(fit: Fit, adapter: Adapter) -> Iterator[Finding]:
    outcome = fit.outcome(adapter)
    if outcome in _DOES:
        message = (
            f"{fit.total} modules are spelled in the {adapter.layout} layout ({fit.naming} names, "
            f"{adapter.spelling or adapter.algorithm}{', alpha' if adapter.has_alpha else ''}); "
            f"for {fit.family.name} {_DOES[outcome]}."
        )
        fix = f"Export again in the diffusers layout: `{fit.family.component}.<layer>.lora_A.weight`."
        yield finding("KEYS_PREFIX", message, fix=fix, layout=adapter.layout, outcome=str(outcome))


def _partial(fit: Fit) -> Iterator[Finding]:
    """Say which blocks are changed when not all are, for bases with numbered blocks in a row."""
    reached: dict[str, tuple[set[int], int]] = {}
    for _, row, numbers in fit.matched:
        if numbers and row.ranges[0][1] > row.ranges[0][0]:
            blocks = row.pattern.partition("*")[0].strip("._")
            found, count = reached.setdefault(blocks, (set(), row.ranges[0][1] + 1))
            found.add(numbers[0])
            reached[blocks] = found, max(count, row.ranges[0][1] + 1)
    if fit.family.component != "transformer":
        return
    short = {blocks: sorted(found) for blocks, (found, count) in reached.items() if len(found) < count}
    if short:
        said = "; ".join(f"{blocks} {some([str(n) for n in found], 12)}" for blocks, found in short.items())
        message = f"Only some blocks of {fit.family.name} are changed: {said}."
        yield finding("BASE_PARTIAL", message, blocks=short)


def _reasons(identity: Identity) -> list[str]:
    return [fit.reason() for fit in identity.candidates]


def _size(size: tuple[int | None, int | None]) -> str:
    return " and ".join("?" if number is None else str(number) for number in size)
