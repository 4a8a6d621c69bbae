"""Whether a step of a training is its end, by its header and the files around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lorry.errors import WeightsRejected
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import read_header
from lorry.weights.origins.access import Access
from lorry.weights.origins.opening import Unopened, opened
from lorry.weights.trainers.recognise import Training, recognise


def end_of(path: Path, access: Access) -> tuple[bool | None, str]:
    """Say whether weights are the end of their training, and why.

    Args:
        path: The file.
        access: What may be asked.

    Returns:
        `None` where nothing tells; and one sentence.

    Raises:
        SourceNotFound: It is gone, or can't be read.
        WeightsRejected: It is broken.
    """
    with opened(str(path), access) as found:
        if isinstance(found, Unopened):
            raise _rejected(path, found.findings)
        if found.inside.endswith(".json"):  # the index of shards: what it joins is checked when it is shipped
            metadata: Mapping[str, str] = {}
        else:
            try:
                metadata = read_header(found.source).metadata
            except StructureFault as fault:
                raise _rejected(path, tuple(fault.findings)) from fault
        training = recognise(metadata, found.inside, found.listing)
    return training.finished, _sentence(path, training)


def _rejected(path: Path, findings: tuple[Finding, ...]) -> WeightsRejected:
    return WeightsRejected(WeightsReport(WeightsSummary(str(path), str(path), 0), findings))


def _sentence(path: Path, training: Training) -> str:
    if training.finished:
        return f"{path} is the last of its steps."
    if training.step is not None and training.total_steps is not None:
        return f"{path} is step {training.step:,} of {training.total_steps:,}; the training goes on."
    if training.epoch is not None and training.total_epochs is not None:
        return f"{path} is epoch {training.epoch:,} of {training.total_epochs:,}; the training goes on."
    return f"{path} is a step of a training, and nothing says that it is the last; its end is waited for."
