"""Why a file runs on a route or in a loader, or does not: one function for each limit of a profile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lorry.model.report import Finding, Mend, Severity, WeightsReport, WeightsSummary
from lorry.model.verdict import Outcome, Prediction, Reason
from lorry.platforms.profiles import BaseStatus, Profile, ServedBase
from lorry.weights.bases.families import base_named, family
from lorry.weights.catalogue import some
from lorry.weights.convert.planning import LARGEST_EXACT
from lorry.weights.loaders.layouts import Layout
from lorry.weights.loaders.tables import table

# What is wrong for one loader and right for another: such findings count only through a loader's prediction
# and through the profile. Every other error is one of the file itself, and counts everywhere.
_ABOUT_LOADERS = frozenset({
    "KEYS_PREFIX", "KEYS_ADAPTER_NAME", "KEYS_MIXED", "KEYS_UNKNOWN", "NAME_CHECKPOINT",
    "ALPHA_DROPPED", "ALPHA_MISSING", "ALPHA_META_CONFLICT",
    "META_JSON", "META_NEWER_PEFT", "META_RANK_MISMATCH",
    "ALGO_LOKR", "ALGO_LOHA", "ALGO_DORA", "ALGO_OFT", "ALGO_OTHER", "ALGO_DIFF", "ALGO_CONTROL",
    "DORA_PER_INPUT", "TE_CLIP", "TE_T5", "BUNDLED_EMBEDDING",
    "DTYPE_FP8", "DTYPE_F6F4", "DTYPE_UNREADABLE", "DTYPE_FP64", "DTYPE_MIXED", "DTYPE_FP32_BIG",
    "PEFT_PREFIX", "PEFT_TARGETS", "PEFT_MODULES_TO_SAVE", "PEFT_DORA", "PEFT_RSLORA",
})  # fmt: skip
_KINDS = {
    "image-lora": ("LoRAs for pictures", "a LoRA for pictures"),
    "text-lora": ("adapters for text", "an adapter for text"),
    "checkpoint": ("whole models", "a whole model"),
}
_OTHER = ("other models", "another kind of model")
_PARTS = {"clip": "the CLIP text encoder", "t5": "the T5 text encoder"}
_ASKS_ALPHA = frozenset({"PEFT_CONFIG_MISSING", "PEFT_CONFIG_JSON", "PEFT_CONFIG_FIELDS"})
_COMMERCIAL = {"no": "rules out", "terms": "limits"}
_SHRINKS = {"f32": 2, "f64": 4}  # times smaller as bfloat16
_ODD_DTYPES = frozenset({"DTYPE_FP8", "DTYPE_F6F4", "DTYPE_UNREADABLE"})


def reasons(report: WeightsReport, profile: Profile) -> Iterator[Reason]:
    """Say everything that speaks for and against a target, in no order.

    Args:
        report: What the check said.
        profile: The route or loader.
    """
    summary = report.summary
    if profile.closed:
        yield Reason("ROUTE_CLOSED", profile.closed.value, True)
    for finding in report.errors:
        if finding.code not in _ABOUT_LOADERS:
            yield Reason(finding.code, finding.message, True, _mended(finding, profile, summary))
    wrong = _kind(summary, profile)
    if wrong is not None:
        yield wrong
        return
    base = tuple(_base(summary, profile))
    yield from base
    if any(reason.blocks for reason in base):
        return
    if summary.kind != "checkpoint":
        yield from _loader(report, profile)
        yield from _limits(report, profile)
    yield from _size(summary, profile)
    yield from _licence(summary, profile)
    if profile.unproved:
        yield Reason("ROUTE_UNPROVED", profile.unproved.value, False)


def prediction(summary: WeightsSummary, profile: Profile) -> Prediction | None:
    """Find what the loader behind a target does with the file.

    Args:
        summary: What the file is.
        profile: The route or loader.
    """
    return next((load for load in summary.loads if load.loader == profile.loader_for(summary.kind)), None)


def _kind(summary: WeightsSummary, profile: Profile) -> Reason | None:
    """Say that it is another kind of model than the target takes; what can't be told is none of them."""
    takes = f"It takes {_joined(_KINDS[kind][0] for kind in profile.kinds.value)}"
    if summary.kind is None:
        return Reason("KIND_LIMIT", f"{takes}; what this file is can't be told.", True)
    if summary.kind not in profile.kinds.value:
        return Reason("KIND_LIMIT", f"{takes}; this is {_KINDS.get(summary.kind, _OTHER)[1]}.", True)
    known = family(summary.family) if summary.family else None
    if known is not None and known.modality not in profile.modalities.value:
        serves = _joined(profile.modalities.value)
        message = f"It serves models for {serves}; {known.name} is one for {known.modality}."
        return Reason("KIND_LIMIT", message, True)
    return None


def _base(summary: WeightsSummary, profile: Profile) -> Iterator[Reason]:
    """Compare the file's base with those that the target has."""
    named = summary.base or (family_name(summary.family) if summary.family else "no base that Lorry knows")
    if profile.families and summary.family not in profile.families.value:
        yield Reason("BASE_LIMIT", f"Nothing is known of it for {named}.", True)
    if not profile.bases:
        return
    serving = [base for base in profile.bases if base.family == summary.family]
    if not serving:
        ids = some([base.id for base in profile.bases if base.status is not BaseStatus.DEPRECATED])
        yield Reason("BASE_LIMIT", f"It serves {ids}; this file is for {named}.", True)
        return
    yield from _served(summary.base, serving)


def _served(base: str | None, serving: list[ServedBase]) -> Iterator[Reason]:
    """Judge a file whose layers the target has: the very base, another with the same layers, or no name."""
    lasting = [served for served in serving if served.status is not BaseStatus.DEPRECATED]
    if not lasting:
        yield Reason("BASE_LIMIT", f"{serving[0].id}, which has these layers, is {serving[0].note}.", True)
        return
    ids = some([served.model for served in lasting])
    if base is None:
        message = f"Several base models have these layers, and the file names none; it takes {ids} only."
        yield Reason("BASE_LIMIT", message, False)
    elif base not in [served.model for served in lasting]:
        message = f"It serves {ids}; this file is for {base}, which has the same layers (--base overrules)."
        yield Reason("BASE_LIMIT", message, True)


def _loader(report: WeightsReport, profile: Profile) -> Iterator[Reason]:
    """Say what the loader does with the file's layout, and over which findings it stumbles."""
    summary = report.summary
    mend = _relayout(report, profile)
    stumbles = {stumble.code: stumble for stumble in profile.stumbles_over}
    for finding in report.findings:
        stumble = stumbles.get(finding.code)
        if stumble is not None:
            mended = _mended(finding, profile, summary)
            yield Reason(finding.code, f"{finding.message} Here {stumble.says}.", True, mended)
    load = prediction(summary, profile)
    if load is None or load.outcome is Outcome.UNKNOWN:
        said = (
            load.sentence
            if load
            else f"Nobody has tried what {profile.loader_for(summary.kind)} does with this file."
        )
        yield Reason("LOADER_LIMIT", said, True, mend)
    elif not acts(report, load):
        yield Reason("LOADER_LIMIT", load.sentence, True, mend)


def acts(report: WeightsReport, load: Prediction) -> bool:
    """Tell whether a loader changes every layer with the trained strength.

    A dropped alpha does no harm where it equals the rank: the check then has no finding about it, and the
    alpha that it read is the rank.

    Args:
        report: What the check said.
        load: What the loader does.
    """
    if load.outcome is not Outcome.ALPHA_DROPPED:
        return load.acts
    alpha, rank = report.summary.alpha, report.summary.rank
    told = any(finding.code == "ALPHA_DROPPED" for finding in report.findings)
    harmless = alpha is None or rank is None or alpha == rank.min == rank.max
    return load.modules == load.expected > 0 and harmless and not told


def _limits(report: WeightsReport, profile: Profile) -> Iterator[Reason]:
    """Hold an adapter against numbers and lists: rank, data types, text encoders, files, how many at once."""
    summary = report.summary
    yield from _rank(summary, profile)
    yield from _dtype(report, profile)
    for part in summary.parts:
        rule = profile.part_rule(part, summary.family)
        if rule is not None and not rule.applied:
            message = f"The part that changes {_PARTS.get(part, part)} is left out without an error."
            yield Reason("PARTS_LIMIT", message, False)
    if profile.files and summary.kind == "text-lora":
        file = summary.file.replace("\\", "/").rpartition("/")[2]
        weights = [name for name in profile.files.value if name.endswith(".safetensors")]
        if file not in weights:
            message = f"It looks for {_joined(profile.files.value)}; this file is called {file}."
            yield Reason("LOADER_LIMIT", message, True, _relayout(report, profile))
    for count in profile.adapters:
        yield Reason("ADAPTERS_LIMIT", f"It takes {count.sentence}.", False)


def _rank(summary: WeightsSummary, profile: Profile) -> Iterator[Reason]:
    if summary.rank is None:
        return
    rank, ranks = summary.rank.max, profile.ranks
    most = profile.max_rank.value if profile.max_rank else None
    if ranks is not None:
        needed = ranks.needed(rank)
        most = ranks.values[-1] if most is None else most
        if needed is not None and needed > ranks.default:
            message = f"Rank {rank} needs {ranks.setting} {needed}; without it the limit is {ranks.default}."
            yield Reason("RANK_LIMIT", message, False)
    if most is not None and rank > most:
        mend = f"--rank {most} --lossy" if profile.layout and summary.algorithm == "lora" else None
        yield Reason("RANK_LIMIT", f"Rank {rank}; it takes at most {most}.", True, mend)


def _dtype(report: WeightsReport, profile: Profile) -> Iterator[Reason]:
    """Compare data types; where none are documented, those that the check calls errors are not promised."""
    reads, summary = profile.reads_dtypes, report.summary
    odd = [finding for finding in report.findings if finding.code in _ODD_DTYPES]
    mend = _mended_by(
        max((finding.mend for finding in odd), key=_cost, default=Mend.CONVERT), profile, summary
    )
    if reads is not None:
        unread = [dtype for dtype in _dtypes(report) if dtype not in reads.value]
        if unread:
            message = f"Tensors are {_joined(unread)}; it reads {_joined(reads.value)}."
            yield Reason("DTYPE_LIMIT", message, True, mend)
    elif odd:
        message = (
            f"{odd[0].message} No list of data types is documented, and no server is known to read these."
        )
        yield Reason("DTYPE_LIMIT", message, True, mend)


def _dtypes(report: WeightsReport) -> list[str]:
    """List the data types of the tensors; of a mixed file the finding about that tells them."""
    dtype = report.summary.dtype
    mixed = next((finding for finding in report.findings if finding.code == "DTYPE_MIXED"), None)
    if mixed is not None:
        return sorted(name.lower() for name in mixed.evidence.get("found", {}))
    return [dtype] if dtype and dtype != "mixed" else []


def _size(summary: WeightsSummary, profile: Profile) -> Iterator[Reason]:
    if profile.max_bytes is None or summary.size_bytes <= profile.max_bytes.value:
        return
    smaller = summary.size_bytes / _SHRINKS.get(summary.dtype or "", 1)
    mend = "--dtype bf16" if smaller <= profile.max_bytes.value else None
    message = f"{summary.size_bytes:,} bytes; it takes at most {profile.max_bytes.value:,}."
    yield Reason("SIZE_LIMIT", message, True, mend)


def _licence(summary: WeightsSummary, profile: Profile) -> Iterator[Reason]:
    base = base_named(summary.base) if summary.base else None
    does = _COMMERCIAL.get(base.commercial) if base else None
    if profile.licence is not None and base is not None and does is not None:
        message = f"{base.id} is under {base.licence}, which {does} commercial use; {profile.licence.value}."
        yield Reason("LICENCE_LIMIT", message, False)


def _relayout(report: WeightsReport, profile: Profile) -> str | None:
    """Give the option that brings an adapter into the loader's own layout, as far as its kind allows it."""
    summary = report.summary
    layout = layout_for(summary, profile)
    if layout is None or not _lands(summary, profile, layout):
        return None
    told = {f.mend for f in report.findings if f.code.startswith(("ALGO_", "DORA_")) and _weighs(f)}
    return _mended_by(max(told or {Mend.CONVERT}, key=_cost), profile, summary)


def _lands(summary: WeightsSummary, profile: Profile, layout: str) -> bool:
    """Tell whether the loader is known to apply what `lorry convert` writes in a layout."""
    known = family(summary.family) if summary.family else None
    rules = table(profile.loader_for(summary.kind))
    if known is None or rules is None or known.key not in rules.families:
        return False
    naming = "native" if layout == "comfyui" and known.native else "diffusers"
    entry = rules.families[known.key].entry(Layout(layout, naming, "lora_A", False))
    return entry is not None and entry.outcome is Outcome.OK


def _weighs(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO


def _mended_by(mend: Mend, profile: Profile, summary: WeightsSummary) -> str | None:
    """Give the options of `lorry convert` for a kind of mend; LoKr and LoHa ask for a rank."""
    layout = layout_for(summary, profile)
    if mend is Mend.NO or layout is None:
        return None
    if mend is Mend.CONVERT:
        return f"--to {layout}"
    most = profile.max_rank.value if profile.max_rank else LARGEST_EXACT
    return f"--to {layout} --rank {min(most, LARGEST_EXACT)} --lossy"


def _mended(finding: Finding, profile: Profile, summary: WeightsSummary) -> str | None:
    """Give the options that mend a finding; a configuration can be written once alpha is told."""
    options = _mended_by(finding.mend, profile, summary)
    if options is None or finding.code not in _ASKS_ALPHA:
        return options
    return f"{options} --alpha {'N' if summary.alpha is None else format(summary.alpha, 'g')}"


def layout_for(summary: WeightsSummary, profile: Profile) -> str | None:
    """Give the layout that a target wants a file in.

    Args:
        summary: What the file is.
        profile: The route or loader.
    """
    return "peft" if summary.kind == "text-lora" else profile.layout


def _cost(mend: Mend) -> int:
    return (Mend.CONVERT, Mend.LOSSY, Mend.NO).index(mend)


def family_name(key: str) -> str:
    """Give what people call a family.

    Args:
        key: The family's key.
    """
    known = family(key)
    return known.name if known else key


def _joined(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
