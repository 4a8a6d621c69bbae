"""Full checkpoints: a single file of whole weights, and a folder of shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.adapter.modules import Adapter, read_adapter
from lorry.weights.catalogue import StructureFault, finding
from lorry.weights.checkpoint.check import check_checkpoint
from lorry.weights.checkpoint.index import CheckpointFiles, find_checkpoint
from lorry.weights.checkpoint.names import looks_like_checkpoint
from lorry.weights.checkpoint.settings import FILE
from lorry.weights.files.header import Header, read_header
from lorry.weights.files.values import look_findings
from lorry.weights.judging.context import CHECKPOINT, Context, Judged, report
from lorry.weights.judging.summary import in_words
from lorry.weights.origins.opening import Opened

_INDEX = ".safetensors.index.json"


def judge_single(
    context: Context, header: Header, adapter: Adapter, summary: WeightsSummary
) -> Judged | None:
    """Judge a file without any adapter as a full checkpoint; `None` when it is none.

    Args:
        context: What is known besides.
        header: The file's header.
        adapter: Its modules: none.
        summary: What is known so far.
    """
    if adapter.modules or not header.tensors:
        return None
    whole = looks_like_checkpoint(header)
    if whole is None:
        return None
    known = whole.family
    named = context.listing.text(f"{context.folder}{FILE}")
    findings: tuple[Finding, ...] = ()
    if not named and (known is None or known.modality == "text"):
        findings = (finding("CHECKPOINT_CONFIG", f"{context.name} lies without its {FILE}.", subject=FILE),)
    base = known.bases[0].id if known and len(known.bases) == 1 else None
    judged = replace(
        summary,
        kind=CHECKPOINT,
        layout=None,
        family=known.key if known else None,
        base=base,
        confidence=whole.coverage if known else None,
    )
    return Judged(judged, findings)


def checkpoint_of(found: Opened) -> CheckpointFiles | None:
    """Give the files of the checkpoint that was opened; `None` when something else was.

    Args:
        found: What was opened.
    """
    folder = "".join(found.inside.rpartition("/")[:2])
    if not found.inside.endswith(_INDEX) and found.chosen is None:
        return None  # a single file that the user named speaks for itself
    files = find_checkpoint(found.listing, folder)
    if files is None:
        return None
    names = {f"{files.folder}{files.index}", *(entry.path for entry in files.weights)}
    return files if found.inside in names else None


def judge_files(found: Opened, files: CheckpointFiles, *, deep: bool) -> WeightsReport:
    """Judge a checkpoint by the headers of all its files, and by its numbers where that is asked for.

    Args:
        found: What was opened.
        files: The checkpoint's files.
        deep: Whether to look at every number too.
    """
    whole = check_checkpoint(found.listing, files, found.another)
    told = whole.report(found.path)
    summary = replace(told.summary, file=found.file, choice=None, revision=found.revision)
    said = replace(in_words(summary), message=f"{whole.sentence}.")
    values = _numbers(found, files) if deep else ()
    return report(summary, [*told.findings, *values, *found.findings, said])


def _numbers(found: Opened, files: CheckpointFiles) -> Iterator[Finding]:
    for entry in files.weights:
        try:
            source = found.another(entry.path)
            header = read_header(source)
            yield from look_findings(source, header, read_adapter(header))
        except StructureFault as broken:
            # A fault of the header was told already; one of reading was not.
            yield from (each for each in broken.findings if each.code == "FILE_CHANGED")
