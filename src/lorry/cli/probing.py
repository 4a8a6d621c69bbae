"""A probe of the service as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorry.platforms.probing import Compared, Probe
    from lorry.platforms.probing.spending import Tried

#: Of a value in the table; the whole of it is in `--json`.
_LONGEST = 60

_TITLES = {
    "differs": "Different from what Lorry believes",
    "noted": "Seen; nobody had told",
    "not seen": "Not seen",
    "same": "As believed",
}


def probe_lines(found: Probe) -> list[str]:
    """Write what was asked, what differs, and what is news.

    Args:
        found: The probe.
    """
    seconds = sum(reply.seconds for reply in found.replies.values())
    failed = [reply for reply in found.replies.values() if reply.fault is not None]
    lines = [
        f"{found.address} was asked {len(found.replies)} times, in {seconds:.1f} s. Nothing was changed."
    ]
    lines += [
        f"  {reply.question.path}: {reply.fault.code} (status {reply.status})"
        for reply in failed
        if reply.fault
    ]
    for outcome, title in _TITLES.items():
        rows = [each for each in found.compared if each.outcome == outcome]
        if rows:
            lines += ["", f"{title}:", *_table([_row(each) for each in rows])]
    return lines


def tried_lines(tried: Tried) -> list[str]:
    """Write what the pictures show.

    Args:
        tried: The trial.
    """
    verdict = "acts" if tried.acts else "does not act"
    nowhere = (
        f"{tried.nowhere[0]}: {tried.nowhere[1]}" if tried.nowhere else "it drew as if nothing were wrong"
    )
    return [
        f"{tried.address} {verdict} on {tried.base}.",
        f"With it the pictures differ by {tried.difference:.1f} of 255 levels on average, without it by "
        f"{tried.noise:.1f};",
        f"it had to be above {tried.threshold:.1f}. It cost {tried.cents:g} cents at most.",
        f"An address where nothing lies: {nowhere}",
    ]


def _row(found: Compared) -> tuple[str, ...]:
    belief = found.belief
    if found.outcome == "not seen":
        return belief.about, found.why
    if found.outcome == "noted":
        return belief.about, _short(found.seen)
    if found.outcome == "same":
        return belief.about, "nothing new" if belief.at_most else _short(found.seen)
    return belief.about, f"seen {_short(found.seen)}", f"believed {_short(belief.value)} ({belief.date})"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _short(value: Any) -> str:
    if isinstance(value, list):
        text = ", ".join(map(str, value)) or "none"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    text = "".join(sign if sign.isprintable() else " " for sign in text)  # a server wrote it
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …"
