"""What the header of a LoRA for pictures or video tells: its base, what loaders do with it, its strength."""

from __future__ import annotations

from dataclasses import replace

from lorry.model.report import Finding, Severity, WeightsSummary
from lorry.model.verdict import Prediction
from lorry.weights.adapter.keys import Part
from lorry.weights.adapter.modules import Adapter
from lorry.weights.adapter.strength import judge_strength
from lorry.weights.adapter.structure import structure_findings
from lorry.weights.bases.fitness import judge_base
from lorry.weights.files.header import Header
from lorry.weights.files.source import ByteSource
from lorry.weights.judging.context import IMAGE_LORA, Context, Judged
from lorry.weights.judging.summary import with_training
from lorry.weights.loaders.findings import layout_findings, layout_outcome
from lorry.weights.loaders.predict import predictions
from lorry.weights.trainers.choice import judge_pair
from lorry.weights.trainers.labels import label_findings
from lorry.weights.trainers.recognise import recognise

_PARTS = (Part.CLIP, Part.T5)
#: Algorithms that some loaders apply for some families.
_FACTORS = frozenset({"ALGO_LOKR", "ALGO_LOHA"})


def judge_picture(
    source: ByteSource, context: Context, header: Header, adapter: Adapter, summary: WeightsSummary
) -> Judged:
    """Judge everything that the header and its neighbours tell about a LoRA for pictures or video.

    Args:
        source: The file; alpha tensors are read from it, where they are near.
        context: What is known besides.
        header: Its header.
        adapter: Its modules.
        summary: What is known so far.
    """
    training = recognise(header.metadata, context.inside, context.listing)
    judgement = judge_base(adapter, header, training.bases, context.base, context.name)
    fit = judgement.fit
    strength = judge_strength(source, adapter, header, layout_outcome(adapter, fit))
    loads = predictions(adapter, fit, header.metadata)
    pair = judge_pair(context.inside, context.listing)
    there = {module.part for module in adapter.modules}
    findings = (
        *(_softened(each, loads) for each in structure_findings(adapter, header)),
        *judgement.findings,
        *layout_findings(adapter, fit),
        *strength.findings,
        *([pair] if pair else []),
        *label_findings(header.metadata, training.trigger),
    )
    known = replace(
        with_training(summary, training),
        kind=IMAGE_LORA,
        family=fit.family.key if fit else None,
        base=judgement.base.id if judgement.base else None,
        alpha=strength.alpha,
        modules=loads[0].modules if fit and loads else _paired(adapter),
        parts=tuple(str(part) for part in _PARTS if part in there),
        confidence=judgement.confidence if fit else None,
        candidates=tuple(judgement.reasons),
        loads=loads if fit else (),
    )
    return Judged(known, findings)


def _softened(each: Finding, loads: tuple[Prediction, ...]) -> Finding:
    """Take a kind of factors that the usual loader applies whole for a warning: other loaders refuse it."""
    if each.code not in _FACTORS or not loads or not loads[0].acts:
        return each
    return replace(each, severity=Severity.WARNING, message=f"{each.message} {loads[0].sentence}")


def _paired(adapter: Adapter) -> int:
    return sum(module.paired and module.adapter is None for module in adapter.denoiser)
