"""Numbers, times and states as people read them; the filters of the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

#: The class, the sign and the word of each state: colour is never the only thing that tells.
STATES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "ready": ("good", "●", "ready"),
        "delivering": ("busy", "◐", "on its way"),
        "retiring": ("busy", "◐", "being removed"),
        "failed": ("bad", "✕", "failed"),
        "held": ("warn", "❚❚", "waits for you"),
        "retired": ("off", "○", "retired"),
        "nowhere": ("off", "○", "nowhere yet"),
        "asleep": ("off", "☾", "asleep"),
        "sick": ("bad", "▲", "does not answer"),
        "limited": ("warn", "▲", "held back"),
        "starting": ("busy", "◐", "starting"),
        "done": ("good", "✓", "done"),
        "running": ("busy", "◐", "running"),
        "ahead": ("off", "○", "ahead"),
        "interrupted": ("warn", "⤳", "interrupted"),
        "runs": ("good", "✓", "runs"),
        "runs after conversion": ("warn", "↻", "runs after conversion"),
        "does not run": ("off", "–", "does not run"),
        "error": ("bad", "✕", "error"),
        "warning": ("warn", "▲", "warning"),
        "info": ("off", "i", "note"),
        "waiting": ("busy", "◔", "waiting"),
        "canceled": ("off", "○", "cancelled"),
    }
)

_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))


def state(name: str) -> tuple[str, str, str]:
    """Give the class, the sign and the word of a state."""
    return STATES.get(name, ("off", "○", name))


def money(cents: float | None) -> str:
    """Write US cents as dollars."""
    if cents is None:
        return "not told"
    dollars = cents / 100
    if dollars == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.3f}" if abs(dollars) >= 0.01 else f"${dollars:.3g}"


def percent(share: float | None) -> str:
    """Write a share; one that is nearly whole never looks whole."""
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{share:.0%}"
    return f"{min(share, 0.999):.1%}"


def duration(seconds: float | None) -> str:
    """Write how long something took or takes."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return "–"


def size(count: float | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def ago(moment: str | datetime | None, now: datetime) -> str:
    """Write when something was or will be, from now."""
    if moment is None:
        return "–"
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    seconds = (now - at).total_seconds()
    if abs(seconds) < 5:
        return "now"
    told = duration(abs(seconds)).replace(".0 ", " ")
    return f"{told} ago" if seconds > 0 else f"in {told}"


def clock(moment: str | datetime | None) -> str:
    """Write a time of the day, UTC."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "–"


def seconds(moment: str) -> int:
    """Give a time or a day as seconds since 1970, for charts."""
    at = datetime.fromisoformat(moment)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def count(number: float) -> str:
    """Write a number with its thousands apart."""
    return f"{number:,.0f}"


def plural(number: int, word: str) -> str:
    """Write a number of things."""
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {word if number == 1 else many}"


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "state": state,
        "money": money,
        "percent": percent,
        "duration": duration,
        "size": size,
        "ago": ago,
        "clock": clock,
        "seconds": seconds,
        "count": count,
        "plural": plural,
    }
)
