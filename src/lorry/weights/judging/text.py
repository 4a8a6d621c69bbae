"""What an adapter for text is: its names straightened, its configuration, what PEFT and vLLM do with it."""

from __future__ import annotations

from dataclasses import replace

from lorry.model.report import WeightsSummary
from lorry.weights.adapter.modules import Adapter
from lorry.weights.adapter.peft import judge_peft
from lorry.weights.adapter.peft_config import FILE, PeftConfig, read_config
from lorry.weights.adapter.text import straightened
from lorry.weights.bases.fitness import judge_base
from lorry.weights.files.header import Header
from lorry.weights.judging.context import TEXT_LORA, Context, Judged
from lorry.weights.judging.summary import with_training
from lorry.weights.loaders.text import predictions_of_text, wrapping_outcome
from lorry.weights.trainers.privacy import privacy_finding
from lorry.weights.trainers.recognise import recognise


def config_of(context: Context) -> PeftConfig:
    """Read the adapter_config.json beside the weights.

    Args:
        context: What is known besides the file's bytes.
    """
    return read_config(context.listing.text(f"{context.folder}{FILE}") or None)


def judge_text(
    context: Context, header: Header, adapter: Adapter, config: PeftConfig, summary: WeightsSummary
) -> Judged:
    """Judge everything that the header and the configuration tell about an adapter for text.

    Args:
        context: What is known besides.
        header: The file's header.
        adapter: Its modules.
        config: Its adapter_config.json.
        summary: What is known so far.
    """
    training = recognise(header.metadata, context.inside, context.listing)
    text = straightened(adapter)
    labels = [*([config.label] if config.label else []), *training.bases]
    judgement = judge_base(text.adapter, header, labels, context.base, context.name)
    fit = judgement.fit
    loads = predictions_of_text(text, config, fit)
    private = privacy_finding(header.metadata)
    findings = (
        *judge_peft(text, header, config, wrapping_outcome(text, fit)),
        *judgement.findings,
        *([private] if private else []),
    )
    known = replace(
        with_training(summary, training),
        kind=TEXT_LORA,
        layout=str(text.wrapping),
        trigger=None,  # a text model is spoken to; no word has to be in what is said
        family=fit.family.key if fit else None,
        base=judgement.base.id if judgement.base else None,
        alpha=config.alpha,
        modules=loads[0].modules,
        confidence=judgement.confidence if fit else None,
        candidates=tuple(judgement.reasons),
        loads=loads,
    )
    return Judged(known, findings)
