"""The check: everything that is to be known about a model's weights before anybody uploads them.

How it works: the source is opened, whatever it is; the first bytes tell what kind of file it is; the header
is read and judged by the rules of the format; its tensors are grouped into modules, and judged as what they
are: a LoRA for pictures, an adapter for text, a full checkpoint; at last every number is looked at once. A
structural fault ends the reading, as nothing behind it can be trusted; everything else is collected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lorry.errors import OptionInvalid
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.adapter.modules import Adapter, read_adapter
from lorry.weights.adapter.structure import nothing_to_use
from lorry.weights.adapter.text import is_text
from lorry.weights.bases.families import Family, families, families_named, family
from lorry.weights.bases.identify import fit_to
from lorry.weights.catalogue import StructureFault, finding
from lorry.weights.files.digest import Hashing
from lorry.weights.files.header import Header, read_header
from lorry.weights.files.magic import recognise
from lorry.weights.files.source import ByteSource, FileSource, still_writing
from lorry.weights.files.values import scan, value_findings
from lorry.weights.judging.context import Context, Judged, report
from lorry.weights.judging.picture import judge_picture
from lorry.weights.judging.summary import in_words, with_header
from lorry.weights.judging.text import config_of, judge_text
from lorry.weights.judging.whole import checkpoint_of, judge_files, judge_single
from lorry.weights.loaders.predict import loaders_for, predict
from lorry.weights.origins.access import Access
from lorry.weights.origins.opening import Opened, Unopened, opened

#: What a file may look like while weights are still being written into it.
_GROWING = frozenset({"safetensors", "empty", "zeros"})

#: Gives the time in seconds since 1970.
Clock = Callable[[], float]
#: Gives the name of a model that was shipped from the bytes of a digest.
Shipped = Callable[[str], str | None]


def check(
    source: str | Path,
    *,
    base: str | None = None,
    deep: bool | None = None,
    access: Access | None = None,
    hashing: Hashing | None = None,
    clock: Clock | None = time.time,
    shipped: Shipped | None = None,
) -> WeightsReport:
    """Say what a model's weights are and everything that is wrong with them; bad weights never raise.

    Args:
        source: A file, a folder, an archive, a Hub repository (`owner/name[@revision][:file]`) or an address.
        base: Id of the base model that it is meant for; it overrules, and a file for another one is an error.
        deep: Whether to look at every number; by default for a single file on this machine. What is far
            away is fetched for it.
        access: What may be asked; the public Hub and public addresses when omitted.
        hashing: The hashing of the same file, where it was begun before.
        clock: Tells files that are still being written; `None` does not ask.
        shipped: Gives the name of a model that was shipped from the bytes of a digest.

    Raises:
        SourceNotFound: The path does not exist or can't be read, or is a pipe, a socket or a device.
        OptionInvalid: The source names nothing that could be opened.
        DiskFull: An archive can't be unpacked for lack of room.
    """
    reach = access or Access()
    with opened(str(source), reach) as found:
        if isinstance(found, Unopened):
            summary = WeightsSummary(found.path, found.file, found.size, revision=found.revision)
            return report(summary, found.findings)
        if not (deep and not found.deep):
            told = _check_opened(found, base, deep, hashing, clock)
            return _compared(told, shipped) if shipped else told
    return _fetch_and_check(str(source), base, reach)


def _fetch_and_check(source: str, base: str | None, access: Access) -> WeightsReport:
    """Fetch what is far away, look at every number, and report it under its own name."""
    from lorry.errors import WeightsRejected
    from lorry.weights.origins.fetching import fetched

    try:
        with fetched(source, access) as here:
            found = check(here, base=base, deep=True, clock=None)
    except WeightsRejected as rejected:
        return rejected.report
    return replace(found, summary=replace(found.summary, path=source, file=here.name))


def _check_opened(
    found: Opened, base: str | None, deep: bool | None, hashing: Hashing | None, clock: Clock | None
) -> WeightsReport:
    files = checkpoint_of(found)
    if files is not None:
        told = judge_files(found, files, deep=bool(deep) and found.deep)
    else:
        context = Context(found.path, found.file, found.listing, found.inside, base)
        # Not the file on disk, but what is read of it: in an archive that is another run of bytes.
        own = isinstance(found.source, FileSource) and hashing and found.source.is_same(hashing.source)
        same = hashing if own else None
        told = inspect(found.source, context, values=found.deep and deep is not False, hashing=same)
        told = replace(
            told,
            summary=replace(
                told.summary,
                choice=found.choice if found.chosen and found.chosen.others else None,
                revision=found.revision,
                digest=told.summary.digest or found.digest,
            ),
        )
    late = found.late()
    lost = {each.subject for each in late}
    kept = [each for each in told.findings if not _is_unread(each, lost)]
    writing = list(_writing(found, clock, weights=told.summary.format in _GROWING))
    return report(told.summary, [*kept, *found.findings, *late, *writing])


def _compared(told: WeightsReport, shipped: Shipped) -> WeightsReport:
    """Say when a model was shipped from the same bytes."""
    name = shipped(told.summary.digest) if told.summary.digest else None
    if name is None:
        return told
    message = f"The same bytes were shipped as {name}."
    return report(told.summary, [*told.findings, finding("VAL_DUPLICATE", message, model=name)])


def _is_unread(each: Finding, lost: set[str | None]) -> bool:
    """Tell whether a finding says that a file is missing which could only not be fetched."""
    unread = any(subject and subject.endswith("adapter_config.json") for subject in lost)
    return unread and each.code in ("PEFT_CONFIG_MISSING", "PEFT_CONFIG_JSON")


def _writing(found: Opened, clock: Clock | None, *, weights: bool) -> Iterator[Finding]:
    disk = found.disk
    if disk is None or clock is None or not weights:
        return  # a web page under the weights' name will not become weights
    if not disk.unchanged():
        yield finding("FILE_CHANGED", f"{found.file} was written to while it was looked at.")
    elif still_writing(disk.modified, clock()):
        yield finding("FILE_STILL_WRITING", f"{found.file} was written to within the last two seconds.")


def inspect(
    source: ByteSource, context: Context, *, values: bool = True, hashing: Hashing | None = None
) -> WeightsReport:
    """Check the bytes of one file.

    Args:
        source: The bytes.
        context: What is known besides them.
        values: Whether to look at the numbers too; without, only the header is read.
        hashing: The hashing of the same bytes, where it was begun before.
    """
    summary = WeightsSummary(context.path, context.file, source.size)
    foreign = recognise(source)
    if foreign is not None:
        return report(replace(summary, format=foreign[0]), [foreign[1]])
    try:
        header = read_header(source)
    except StructureFault as broken:
        return report(_named(summary, broken.finding), broken.findings)
    adapter = read_adapter(header)
    judged = _judged(source, context, header, adapter, with_header(summary, header, adapter))
    told, findings = judged.summary, list(judged.findings)
    if values:
        try:
            result = scan(source, header, hashing)
        except StructureFault as broken:
            return report(told, [*broken.findings, *findings])
        told = replace(told, digest=result.digest)
        findings += value_findings(result, adapter)
    said = [in_words(told)] if told.kind else []
    return report(told, [*findings, *said])


def predicted_modules(path: Path, key: str) -> int:
    """Count the base layers that the usual loader is expected to change: the engine's for our own base.

    Args:
        path: A safetensors file.
        key: Key of a family, or the id of one of its base models.

    Returns:
        The number; 0 for a file that can't be read as an adapter, or whose layout the loader ignores.

    Raises:
        SourceNotFound: The path does not exist or can't be read.
        OptionInvalid: No such family is known.
    """
    known = _family(key)
    with FileSource(path) as source:
        if recognise(source) is not None:
            return 0
        try:
            header = read_header(source)
        except StructureFault:
            return 0
    adapter = read_adapter(header)
    return predict(adapter, fit_to(adapter, known), loaders_for(known)[0], header.metadata).modules


def _judged(
    source: ByteSource, context: Context, header: Header, adapter: Adapter, summary: WeightsSummary
) -> Judged:
    """Judge what the header tells, as the kind of thing that it is."""
    whole = judge_single(context, header, adapter, summary)
    if whole is not None:
        return whole
    missing = nothing_to_use(adapter, header)
    if missing is not None:
        return Judged(summary, (missing,))
    config = config_of(context)
    if is_text(adapter, config.fields):
        return judge_text(context, header, adapter, config, summary)
    return judge_picture(source, context, header, adapter, summary)


def _named(summary: WeightsSummary, found: Finding) -> WeightsSummary:
    """A broken safetensors file is still one; what announces an absurd header is something else."""
    return summary if found.code == "HDR_TOO_LARGE" else replace(summary, format="safetensors")


def _family(key: str) -> Family:
    known = family(key)
    if known is None:
        keys = [each.key for each in families_named(key) or families()]
        message = f"{key} is no family of base models."
        raise OptionInvalid(
            message, fix=f"Use one of {', '.join(keys)}.", evidence={"family": key, "known": keys}
        )
    return known
