"""What people read of a check: what the file is, every finding with its fix, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from textwrap import wrap

from lorry.cli.printing import pairs, size
from lorry.model.report import Finding, Mend, Severity, WeightsReport, WeightsSummary
from lorry.model.verdict import Outcome

_WIDTH = 110
_INDENT = " " * 9
#: It is said in the head of the report already.
_SAID_ABOVE = frozenset({"INFO_SUMMARY"})


def report_lines(report: WeightsReport) -> list[str]:
    """Write a check's report: what the file is, every finding with its fix, the next command.

    Args:
        report: What the check said.
    """
    lines = [report.summary.file, *pairs(_summary_rows(report.summary)), ""]
    findings = [found for found in report.findings if found.code not in _SAID_ABOVE]
    for finding in findings:
        lines += _finding_lines(finding)
    gap = [""] if findings else []
    return [*lines, *gap, *_end(report.summary, findings)]


def _summary_rows(summary: WeightsSummary) -> list[tuple[str, str | None]]:
    kind = ", ".join(part for part in (summary.format, summary.layout, summary.algorithm) if part)
    numbers = f"{summary.tensors:,} tensors, {summary.parameters:,} numbers, {size(summary.size_bytes)}"
    return [
        ("format", kind or None),
        ("base", _base(summary)),
        ("trained", _trained(summary)),
        ("trigger", summary.trigger),
        ("rank", str(summary.rank) if summary.rank else None),
        ("alpha", f"{summary.alpha:g}" if summary.alpha is not None else None),
        ("modules", f"{summary.modules:,} ({numbers})" if summary.modules else None),
        ("size", numbers if summary.tensors and not summary.modules else None),
        ("dtype", summary.dtype),
        ("also", ", ".join(f"changes the {part} text encoder" for part in summary.parts) or None),
        ("loads", _loads(summary)),
        ("samples", _samples(summary.samples)),
        ("taken", summary.choice),
        ("revision", summary.revision),
        ("sha256", summary.digest),
    ]


def _base(summary: WeightsSummary) -> str | None:
    base = summary.base
    if base and summary.family and summary.family not in base:
        base = f"{base} (family {summary.family})"
    sure = summary.confidence
    unsure = f", {sure:.0%} of the modules fit" if sure is not None and sure < 1 else ""
    named = base or summary.family
    return f"{named}{unsure}" if named else None


def _trained(summary: WeightsSummary) -> str | None:
    said = [
        f"by {summary.trainer}" if summary.trainer else "",
        f"{summary.steps:,} steps" if summary.steps else "",
        f"{summary.resolution} px" if summary.resolution else "",
    ]
    return ", ".join(part for part in said if part) or None


def _loads(summary: WeightsSummary) -> str | None:
    said = [
        f"{load.loader} {load.outcome}"
        if load.outcome is Outcome.UNKNOWN
        else f"{load.loader} {load.modules:,} of {load.expected:,}"
        for load in summary.loads
    ]
    return ", ".join(said) or None


def _samples(samples: Sequence[str]) -> str | None:
    if not samples:
        return None
    more = f" and {len(samples) - 1} more" if len(samples) > 1 else ""
    return f"{samples[0]}{more}"


def _finding_lines(finding: Finding) -> list[str]:
    lines = wrap(
        f"{finding.severity:<7}  {finding.code}  {finding.message}",
        _WIDTH,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if finding.subject:
        lines.append(f"{_INDENT}at: {finding.subject}")
    if finding.fix:
        lines += wrap(
            f"fix: {finding.fix}",
            _WIDTH,
            initial_indent=_INDENT,
            subsequent_indent=f"{_INDENT}     ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if finding.mend is not Mend.NO:
        lines.append(f"{_INDENT}convert: {_MENDED[finding.mend]}")
    return lines


_MENDED = {
    Mend.CONVERT: "mends it, without loss",
    Mend.LOSSY: "mends it with --lossy, and says how much is lost",
}


def _end(summary: WeightsSummary, findings: Sequence[Finding]) -> list[str]:
    counts = {level: sum(found.severity is level for found in findings) for level in Severity}
    named = [
        f"{number} {level}{'s' if number > 1 and level is not Severity.INFO else ''}"
        for level, number in counts.items()
        if number
    ]
    if not named:
        return ["No problems found."]
    verdict = "Not fit to ship: " if counts[Severity.ERROR] else "Fit to ship: "
    return [f"{verdict}{', '.join(named)}.", *_next(summary, findings)]


def _next(summary: WeightsSummary, findings: Sequence[Finding]) -> list[str]:
    errors = [found for found in findings if found.severity is Severity.ERROR]
    if not errors or any(found.mend is Mend.NO for found in errors):
        return []
    lossy = " --lossy" if any(found.mend is Mend.LOSSY for found in errors) else ""
    return [f"next: lorry convert {shlex.quote(summary.path)} -o OUT{lossy}"]
