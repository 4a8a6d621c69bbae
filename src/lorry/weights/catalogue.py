"""Every code that a check can report, in one place: severity, meaning, default fix.

The entries are data (`findings.json`); `docs/reference/findings.md` is written from them by
`reference_page`, and a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lorry.model.report import Finding, Mend, Severity

_HEAD = ("| code | severity | meaning | fix | `lorry convert` |", "|---|---|---|---|---|")
_MENDS = {Mend.NO: "", Mend.CONVERT: "mends it", Mend.LOSSY: "mends it with `--lossy`"}
_LONG = 120  # characters of a name that a sentence bears


@dataclass(frozen=True, slots=True)
class Entry:
    """What is fixed about a finding: its code, group, severity, meaning, default fix, and what mends it."""

    code: str
    topic: str
    severity: Severity
    meaning: str
    fix: str
    mend: Mend


class StructureFault(Exception):
    """The file can't be read any further; carries every finding that says why, the worst first."""

    def __init__(self, found: Finding, *more: Finding) -> None:
        super().__init__(found.message)
        self.finding = found
        self.findings = (found, *more)


@cache
def entries() -> dict[str, Entry]:
    """Read the catalogue, in the order of the documentation."""
    # A plain path: importlib.resources takes longer to load than everything in the file.
    text = Path(__file__).with_name("findings.json").read_text(encoding="utf-8")
    return {
        code: Entry(
            code,
            row["topic"],
            Severity(row["severity"]),
            row["meaning"],
            row["fix"],
            Mend(row.get("mend", "no")),
        )
        for code, row in json.loads(text).items()
    }


def finding(
    code: str,
    message: str,
    *,
    subject: str | None = None,
    fix: str | None = None,
    mend: Mend | None = None,
    **evidence: Any,
) -> Finding:
    """Make a finding with the severity and, unless given, the fix and the mend of its catalogue entry.

    Args:
        code: A code of the catalogue.
        message: One plain sentence with the numbers in it.
        subject: The tensor, field or file concerned.
        fix: A better fix than the catalogue's.
        mend: Whether `lorry convert` mends this one, where it differs from the catalogue's.
        **evidence: Machine-readable facts (JSON values).
    """
    entry = entries()[code]
    return Finding(
        code,
        entry.severity,
        printable(message),
        fix or entry.fix,
        None if subject is None else printable(subject),
        _clean(evidence),
        entry.mend if mend is None else mend,
    )


def fault(code: str, message: str, *, subject: str | None = None, **evidence: Any) -> StructureFault:
    """Make the exception that ends the reading of a broken file."""
    return StructureFault(finding(code, message, subject=subject, **evidence))


def printable(text: str) -> str:
    """Replace what a terminal would obey or can't encode; names come from files of strangers."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural when it is not one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: list[str], limit: int = 5) -> str:
    """Write the first names of a list and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(name if len(name) <= _LONG else f"{name[:_LONG]}…" for name in names[:limit]) + more


def reference_tables() -> str:
    """Write the tables of docs/reference/findings.md: one line a code, grouped by topic."""
    lines: list[str] = []
    topic = None
    for entry in entries().values():
        if entry.topic != topic:
            topic = entry.topic
            lines += [
                "",
                f"## {topic}",
                "",
                "| code | severity | meaning | fix | convert |",
                "|---|---|---|---|---|",
            ]
        mends = {Mend.NO: "", Mend.CONVERT: "mends it", Mend.LOSSY: "mends it with `--lossy`"}[entry.mend]
        lines.append(f"| `{entry.code}` | {entry.severity} | {entry.meaning} | {entry.fix} | {mends} |")
    return "\n".join(lines[1:]) + "\n"
