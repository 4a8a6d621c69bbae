"""What is wrong between an adapter and its base model: which one it is, layers, layout, labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.families import (
    Base,
    Family,
    base_named,
    families_named,
    names_of,
    plain,
    spoken_of,
)
from lorry.weights.bases.fit import Fit
from lorry.weights.bases.identify import Identity, fit_to, identify, noise_level
from lorry.weights.catalogue import finding, some
from lorry.weights.files.header import Header


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which base an adapter is for, and everything found about that.

    Attributes:
        fit: The family that the report is about: the declared one where it fits a module, else the best one.
        base: The base model, where names or sizes settle it.
        findings: What was found.
        identity: Every family's fit, whatever was declared.
    """

    fit: Fit | None
    base: Base | None
    findings: tuple[Finding, ...]
    identity: Identity

    @property
    def confidence(self) -> float | None:
        """How sure the family is, from 0 to 1; `None` without one."""
        best = self.identity.best
        if self.fit is None or best is None or best.family.key != self.fit.family.key:
            return self.fit.share if self.fit else None
        return self.identity.confidence

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks for and against each family, best first."""
        return tuple(_reasons(self.identity))


def judge_base(
    adapter: Adapter, header: Header, labels: Sequence[str], declared: str | None, file: str = ""
) -> Judgement:
    """Identify the base model and compare it with what is declared and with what labels say.

    Args:
        adapter: The file's modules.
        header: The file's header.
        labels: Names of base models in the header and in neighbouring files, most trusted first.
        declared: The base model that the user names; it overrules.
        file: The file's name, which settles what nothing else does.
    """
    wanted = families_named(declared) if declared else ()
    named = [found for label in labels if (found := families_named(label))]
    spoken = [(known,) for known in spoken_of(file)]
    identity = identify(adapter, [*([wanted] if wanted else []), *named, *spoken])
    keys = {known.key for known in wanted}
    own = next((fit for fit in identity.candidates if fit.family.key in keys and fit.matched), None)
    fit = own or identity.best
    choice = _choice(fit, file)
    base = _base(choice, labels, declared, file)
    findings = [
        *_declared(adapter, identity, declared, wanted, own),
        *_identity(identity, fit, base, choice, declared),
        *_labels(fit, named, labels),
    ]
    if fit is not None:
        findings += [*_layers(fit, adapter, header), *_partial(fit)]
    return Judgement(fit, base, tuple(findings), identity)


def _choice(fit: Fit | None, file: str) -> tuple[Base, ...]:
    """List the base models that sizes, and a name such as `..._high_noise`, leave."""
    if fit is None:
        return ()
    pairs = tuple(base for base in fit.bases if base.transformers > 1)
    return pairs if pairs and noise_level(file) else fit.bases


def _base(choice: tuple[Base, ...], labels: Sequence[str], declared: str | None, file: str) -> Base | None:
    for name in (*([declared] if declared else []), *labels):
        found = base_named(name)
        if found is not None and found in choice:
            return found
    if len(choice) == 1:
        return choice[0]
    words = f"-{plain(file)}-"
    said = [(len(name), base) for base in choice for name in names_of(base) if f"-{plain(name)}-" in words]
    return max(said, key=lambda each: each[0])[1] if said else None


def _declared(
    adapter: Adapter, identity: Identity, declared: str | None, wanted: Sequence[Family], own: Fit | None
) -> Iterator[Finding]:
    if declared is None:
        return
    if not wanted:
        message = f"{declared} is none of the base models in the table, so nothing could be compared with it."
        yield finding("BASE_NOT_LISTED", message, declared=declared)
        return
    best = identity.best
    keys = [known.key for known in wanted]
    if own is None or (best is not None and best.family.key not in keys):
        trained = f"trained for {best.family}" if best else "trained for no family in the table"
        why = (own or fit_to(adapter, wanted[0])).reason()
        message = f"The file was {trained}, and {declared} was named. {why}."
        found = best.family.key if best else None
        yield finding("BASE_MISMATCH", message, expected=keys[0], found=found, candidates=_reasons(identity))
        return
    base = base_named(declared)
    unlike = own.unlike(base) if base in own.family.bases and base is not None else None
    if unlike:
        message = f"The file is for another {own.family.name} than {declared}, which was named: {unlike}."
        yield finding("BASE_MISMATCH", message, expected=declared, found=[each.id for each in own.bases])


def _identity(
    identity: Identity, fit: Fit | None, base: Base | None, choice: tuple[Base, ...], declared: str | None
) -> Iterator[Finding]:
    if fit is None:
        nearest = identity.candidates[0]
        known = len(nearest.strangers) < nearest.total
        example = (
            f"no layer is called {nearest.strangers[0].name}" if nearest.strangers else "it has no layers"
        )
        why = f"nearest is {nearest.reason()}" if known else example
        message = f"The layers fit none of {len(identity.candidates)} families; {why}."
        yield finding("BASE_UNKNOWN", message, candidates=_reasons(identity))
    elif identity.rivals and identity.best is fit:
        names = [each.family.name for each in (fit, *identity.rivals)]
        message = (
            f"All modules fit {some(names)} equally; {names[0]} is taken, as its blocks are covered best."
        )
        yield finding("BASE_AMBIGUOUS", message, candidates=_reasons(identity))
    elif base is None and choice:
        names = [known.id for known in choice]
        message = f"{fit.family.name} has {len(names)} models with these layers: {some(names)}."
        yield finding("BASE_AMBIGUOUS", message, candidates=names, declared=declared)


def _labels(fit: Fit | None, named: Sequence[Sequence[Family]], labels: Sequence[str]) -> Iterator[Finding]:
    if fit is None or not named or any(known.key == fit.family.key for known in named[0]):
        return
    label = next(label for label in labels if families_named(label))
    message = f"A label says {label} ({named[0][0].name}), but the layers are those of {fit.family}."
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
