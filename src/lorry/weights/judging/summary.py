"""What a file is, in fields and in one sentence."""

from __future__ import annotations

from dataclasses import replace

from lorry.model.report import Finding, WeightsSummary
from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Adapter
from lorry.weights.bases.families import family
from lorry.weights.catalogue import counted, finding
from lorry.weights.files.header import Header
from lorry.weights.judging.context import CHECKPOINT, TEXT_LORA
from lorry.weights.trainers.recognise import Training
from lorry.weights.trainers.signs import UNKNOWN

_ALGORITHMS = {"lora": "LoRA", "lokr": "LoKr", "loha": "LoHa", "dora": "DoRA", "oft": "OFT"}


def with_header(summary: WeightsSummary, header: Header, adapter: Adapter) -> WeightsSummary:
    """Add what the header alone tells.

    Args:
        summary: What is known so far.
        header: The file's header.
        adapter: Its modules.
    """
    kinds = {
        tensor.dtype.lower()
        for module in adapter.modules
        for role, found in module.tensors.items()
        if role is not Role.ALPHA
        for tensor in found
    } or {tensor.dtype.lower() for tensor in header.tensors}
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


def with_training(summary: WeightsSummary, training: Training) -> WeightsSummary:
    """Add what the trainer left.

    Args:
        summary: What is known so far.
        training: What was recognised.
    """
    return replace(
        summary,
        trainer=None if training.trainer == UNKNOWN else training.trainer,
        trigger=training.trigger,
        steps=training.step,
        resolution=training.resolution,
        samples=tuple(sample.path for sample in training.samples),
    )


def in_words(summary: WeightsSummary) -> Finding:
    """Say what a file is in one sentence, as a finding.

    Args:
        summary: All that is known.
    """
    known = family(summary.family) if summary.family else None
    base = summary.base or (known.name if known else "an unknown base")
    numbers = f"{counted(summary.tensors, 'tensor')}, {summary.size_bytes:,} bytes"
    if summary.kind == CHECKPOINT:
        message = f"A full checkpoint ({base}): {counted(summary.parameters, 'parameter')}, {numbers}."
    else:
        what = _ALGORITHMS.get(summary.algorithm or "", "adapter")
        kind = "adapter for text" if summary.kind == TEXT_LORA else what
        rank = f" of rank {summary.rank}" if summary.rank else ""
        article = "An" if kind[0] in "aO" else "A"
        message = f"{article} {kind}{rank} for {base}: {numbers}{_made(summary)}."
    return finding("INFO_SUMMARY", message, kind=summary.kind, family=summary.family, base=summary.base)


def _made(summary: WeightsSummary) -> str:
    said = [
        f"by {summary.trainer}" if summary.trainer else "",
        f"after {summary.steps:,} steps" if summary.steps else "",
        f"with the trigger word {summary.trigger}" if summary.trigger else "",
    ]
    told = [part for part in said if part]
    return f"; {', '.join(told)}" if told else ""
