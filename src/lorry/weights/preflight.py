"""The check: everything that is to be known about a model's weights before anybody uploads them.

How it works: the first bytes tell what kind of file it is; the header is read and judged by the rules of the
format; its tensors are grouped into modules; modules are compared with every family of base models; at last
every number is looked at once. The first structural fault ends the reading, as nothing behind it can be
trusted; what is wrong beyond the structure is collected completely.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lorry.errors import OptionInvalid, SourceNotFound
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.model.verdict import Outcome
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter, read_adapter
from lorry.weights.adapter.strength import judge_strength
from lorry.weights.adapter.structure import nothing_to_use, structure_findings
from lorry.weights.bases.families import Family, families, family
from lorry.weights.bases.fitness import Judgement, judge_base
from lorry.weights.bases.identify import changed_layers, fit_to
from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import Header, read_header
from lorry.weights.files.magic import recognise
from lorry.weights.files.source import ByteSource, FileSource
from lorry.weights.files.values import scan, value_findings
from lorry.weights.origins.folder import choose, name_finding
from lorry.weights.trainers.labels import (
    Neighbours,
    base_labels,
    label_findings,
    read_neighbours,
    trigger_word,
)

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a file besides its bytes."""

    path: str
    file: str
    neighbours: Neighbours = field(default_factory=Neighbours)
    base: str | None = None


def check(source: Path, *, base: str | None = None) -> WeightsReport:
    """Say what a LoRA is and everything that is wrong with it; bad weights never raise.

    Args:
        source: A .safetensors file, or the folder that holds it.
        base: Id of the base model that it is meant for; a file for another one is then an error.

    Raises:
        SourceNotFound: The path does not exist or can't be read.
    """
    chosen = choose(source)
    if isinstance(chosen, Finding):
        return WeightsReport(WeightsSummary(str(source), str(source), 0), (chosen,))
    context = Context(str(source), str(chosen), read_neighbours(chosen), base)
    with _opened(chosen) as opened:
        report = inspect(opened, context)
    named = name_finding(chosen)
    return _report(report.summary, [*report.findings, *([named] if named else [])])


def inspect(source: ByteSource, context: Context, *, values: bool = True) -> WeightsReport:
    """Check the bytes of one file.

    Args:
        source: The bytes.
        context: What is known besides them.
        values: Whether to look at the numbers too; without, only the header is read.
    """
    summary = WeightsSummary(context.path, context.file, source.size)
    foreign = recognise(source)
    if foreign is not None:
        return _report(replace(summary, format=foreign[0]), [foreign[1]])
    try:
        header = read_header(source)
    except StructureFault as broken:
        return _report(_named(summary, broken.finding), [broken.finding])
    adapter = read_adapter(header)
    summary = _counted(summary, header, adapter)
    findings: list[Finding] = []
    missing = nothing_to_use(adapter, header)
    if missing is None:
        summary, findings = _judged(source, context, header, adapter, summary)
    else:
        findings.append(missing)
    if values:
        try:
            result = scan(source, header)
        except StructureFault as broken:
            return _report(summary, [broken.finding, *findings])
        summary = replace(summary, digest=result.digest)
        findings += value_findings(result, adapter)
    return _report(summary, findings)


def predicted_modules(path: Path, family: str) -> int:
    """Count the base layers that a diffusers-style loader is expected to change.

    Args:
        path: A safetensors file.
        family: Key of a family, or the id of one of its base models.

    Returns:
        The number; 0 for a file that can't be read as an adapter, or whose layout the loader ignores.

    Raises:
        SourceNotFound: The path does not exist or can't be read.
        OptionInvalid: No such family is known.
    """
    known = _family(family)
    with _opened(path) as source:
        if recognise(source) is not None:
            return 0
        try:
            adapter = read_adapter(read_header(source))
        except StructureFault:
            return 0
    return changed_layers(fit_to(adapter, known), adapter)


def _judged(
    source: ByteSource, context: Context, header: Header, adapter: Adapter, summary: WeightsSummary
) -> tuple[WeightsSummary, list[Finding]]:
    """Judge everything that the header tells about an adapter."""
    judgement = judge_base(adapter, header, base_labels(header.metadata, context.neighbours), context.base)
    fit = judgement.fit
    outcome = fit.outcome(adapter) if fit else Outcome.UNKNOWN
    strength = judge_strength(source, adapter, header, outcome)
    trigger = trigger_word(header.metadata, context.neighbours)
    findings = [
        *structure_findings(adapter, header),
        *judgement.findings,
        *strength.findings,
        *label_findings(header.metadata, trigger),
    ]
    summary = replace(
        summary,
        family=fit.family.key if fit else None,
        base=judgement.base.id if judgement.base else None,
        alpha=strength.alpha,
        modules=_modules(judgement, adapter),
        trigger=trigger,
    )
    return summary, findings


def _modules(judgement: Judgement, adapter: Adapter) -> int:
    if judgement.fit is not None:
        return changed_layers(judgement.fit, adapter)
    return sum(module.paired and module.adapter is None for module in adapter.denoiser)


def _counted(summary: WeightsSummary, header: Header, adapter: Adapter) -> WeightsSummary:
    kinds = {
        tensor.dtype.lower()
        for module in adapter.modules
        for role, found in module.tensors.items()
        if role is not Role.ALPHA
        for tensor in found
    }
    return replace(
        summary,
        format="safetensors",
        layout=adapter.layout,
        algorithm=adapter.algorithm,
        rank=adapter.ranks,
        tensors=len(header.tensors),
        parameters=sum(tensor.count for tensor in header.tensors),
        dtype=kinds.pop() if len(kinds) == 1 else ("mixed" if kinds else None),
    )


def _named(summary: WeightsSummary, found: Finding) -> WeightsSummary:
    """A broken safetensors file is still one; what announces an absurd header is something else."""
    return summary if found.code == "HDR_TOO_LARGE" else replace(summary, format="safetensors")


def _report(summary: WeightsSummary, findings: list[Finding]) -> WeightsReport:
    return WeightsReport(summary, tuple(sorted(findings, key=lambda found: _ORDER[found.severity])))


@contextmanager
def _opened(path: Path) -> Iterator[FileSource]:
    """Open a file and translate what the system says about it, also while it is read."""
    try:
        with FileSource(path) as source:
            yield source
    except OSError as error:
        raise SourceNotFound(
            f"{path} can't be read: {error.strerror}.", evidence={"path": str(path)}
        ) from error


def _family(key: str) -> Family:
    known = family(key)
    if known is None:
        keys = [each.key for each in families()]
        message = f"{key} is no family of base models."
        raise OptionInvalid(
            message, fix=f"Use one of {', '.join(keys)}.", evidence={"family": key, "known": keys}
        )
    return known
