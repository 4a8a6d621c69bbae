"""Times as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lorry.errors import OptionInvalid

_AGO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def time_from(text: str, now: datetime) -> datetime:
    """Read a time, or how long ago it was.

    Args:
        text: `2026-11-30T12:00` (UTC where it names no zone), or `90s`, `30m`, `2h`, `3d`, `1w`.
        now: The present time, UTC.

    Raises:
        OptionInvalid: It is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        read = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise OptionInvalid(
            f"{text!r} is no time.",
            fix="Write a time, as 2026-11-30T12:00, or how long ago, as 30m, 2h or 3d.",
            evidence={"given": text},
        ) from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)
