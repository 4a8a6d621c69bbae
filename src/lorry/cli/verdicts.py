"""What people read of verdicts: a table of routes and loaders, and the commands that make a file run."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from lorry.model.verdict import Reason, Runs, Verdict

#: Columns of the table: a usual terminal has 100 or more.
WIDTH = 100
_HEAD = ("WHERE", "VERDICT", "WHY")
_GAP = "  "
#: Said where nothing is in the way.
_NOTHING = "Nothing is in the way."
#: Good to know, but no part of a verdict on one file.
_BESIDE = frozenset({"ADAPTERS_LIMIT"})


def verdict_lines(found: Sequence[Verdict]) -> list[str]:
    """Write the table: one row for each route and loader, and below the commands that make the file run.

    Args:
        found: The verdicts.
    """
    heads = [max(len(_HEAD[0]), *(len(each.target) for each in found)), max(map(len, Runs))]
    left = sum(heads) + 2 * len(_GAP)
    lines = [_GAP.join([_HEAD[0].ljust(heads[0]), _HEAD[1].ljust(heads[1]), _HEAD[2]])]
    for each in found:
        told = [line for sentence in _why(each) for line in _wrapped(sentence, WIDTH - left)]
        first = _GAP.join([each.target.ljust(heads[0]), each.runs.ljust(heads[1]), told[0]])
        lines += [first, *(f"{'':{left}}{line}" for line in told[1:])]
    return [*lines, *_commands(found)]


def _why(verdict: Verdict) -> list[str]:
    """Say what blocks, or how much is changed; then what else there is to know."""
    blocking = [f"{reason.sentence} [{reason.code}]" for reason in verdict.reasons if reason.blocks]
    if not blocking:
        blocking = [f"{verdict.modules:,} layers are changed." if verdict.modules else _NOTHING]
    return [*blocking, *(reason.sentence for reason in verdict.reasons if _beside(verdict, reason))]


def _beside(verdict: Verdict, reason: Reason) -> bool:
    """Tell whether a reason that blocks nothing is worth a line: not where the file doesn't run anyway."""
    return not reason.blocks and verdict.runs is not Runs.NO and reason.code not in _BESIDE


def _commands(found: Sequence[Verdict]) -> list[str]:
    """List each command once, with all that it makes the file run on."""
    wanted: dict[str, list[str]] = {}
    for each in found:
        if each.command:
            wanted.setdefault(each.command, []).append(each.target)
    lines: list[str] = []
    for command, targets in wanted.items():
        # A command is not wrapped: it has to survive being copied.
        lines += [
            "",
            *wrap(f"To run on {', '.join(targets)}:", WIDTH, break_on_hyphens=False),
            f"  {command}",
        ]
    return lines


def _wrapped(sentence: str, width: int) -> list[str]:
    """Break a sentence into lines; only a name longer than a line is broken in itself."""
    return wrap(sentence, width, subsequent_indent="  ", break_on_hyphens=False) or [""]
