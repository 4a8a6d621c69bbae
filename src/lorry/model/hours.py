"""Hours in which a model is kept running: `mon-fri 08:00-18:00 Europe/Berlin`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"(?P<days>[a-z,-]+) (?P<begin>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})(?: (?P<zone>\S+))?")
_SAYS = "write it as `mon-fri 08:00-18:00 Europe/Berlin`"


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of some days of the week.

    Attributes:
        days: Those on which they begin; Monday is 0.
        begin: When they begin, local time.
        end: When they end; not after `begin` means on the next day.
        zone: Whose local time.
    """

    days: frozenset[int]
    begin: time
    end: time
    zone: ZoneInfo

    def open_until(self, now: datetime) -> datetime | None:
        """Give when the hours end that it is within; `None` outside of them.

        Args:
            now: The time, aware.
        """
        today = now.astimezone(self.zone).date()
        for day in (today, today - timedelta(days=1)):
            begin, end = self._on(day)
            if day.weekday() in self.days and begin <= now < end:
                return end
        return None

    def _on(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.end > self.begin else day + timedelta(days=1)
        begin = datetime.combine(day, self.begin, self.zone)
        end = datetime.combine(last, self.end, self.zone)
        return begin.astimezone(UTC), end.astimezone(UTC)


@cache
def parse_hours(text: str) -> Hours:
    """Read hours.

    Args:
        text: Days (`mon-fri`, `sat,sun`, `daily`), times, and a time zone; UTC where none is named.

    Raises:
        ValueError: It can't be read; says why.
    """
    found = _FORM.fullmatch(" ".join(text.lower().split()))
    zone = " ".join(text.split()).split(" ")[2:]  # names of zones have capitals
    if found is None:
        raise ValueError(f"{text!r} is no schedule; {_SAYS}")
    try:
        place = ZoneInfo(zone[0] if zone else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone[0]!r} is no time zone; {_SAYS}") from None
    return Hours(_days(found["days"]), _time(found["begin"]), _time(found["end"]), place)


def open_until(hours: Iterable[Hours], now: datetime) -> datetime | None:
    """Give until when any of several hours is open without a break; `None` where none is.

    Args:
        hours: The hours.
        now: The time, aware.
    """
    end: datetime | None = None
    present = list(hours)
    for _ in range(len(present) + 1):
        ends = [found for each in present if (found := each.open_until(end or now)) is not None]
        if not ends:
            break
        end = max(ends)
    return end


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"{part!r} is no day; days are {', '.join(_DAYS)} or daily")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        chosen.update(day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
    return frozenset(chosen)


def _time(text: str) -> time:
    hour, minute = map(int, text.split(":"))
    if hour == 24 and minute == 0:
        return time(0, 0)
    if hour > 23 or minute > 59:
        raise ValueError(f"{text} is no time of day; {_SAYS}")
    return time(hour, minute)
