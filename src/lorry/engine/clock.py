"""Time as the engine sees it: the wall, or a clock that a test turns by hand."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that tells the time, and can be set ahead."""

    def now(self) -> datetime:
        """Give the present time, aware and in UTC."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""


class WallClock:
    """The machine's own time, set ahead by what was asked for.

    Args:
        ahead: Seconds by which it is ahead from the start.
    """

    def __init__(self, ahead: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._ahead = timedelta(seconds=ahead)

    def now(self) -> datetime:
        """Give the present time, aware and in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Set the time ahead.

        Args:
            seconds: By how much.
        """
        with self._lock:
            self._ahead += timedelta(seconds=seconds)


class ManualClock:
    """A clock that stands still until it is advanced.

    Args:
        start: Its first time, aware.
    """

    def __init__(self, start: datetime = datetime(2026, 11, 2, 12, tzinfo=UTC)) -> None:
        self._lock = threading.Lock()
        self._now = start

    def now(self) -> datetime:
        """Give the time it was last set to."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How much of it.
        """
        with self._lock:
            self._now += timedelta(seconds=seconds)


def stamp(moment: datetime) -> str:
    """Write a time as protobuf's JSON does: RFC 3339, UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """Read what `stamp` wrote."""
    return datetime.fromisoformat(text)
