"""What a policy would have cost on recorded traffic, and how long users would have waited. Pure.

A model's replica starts with the request that finds it off, answers `start` seconds later, bills from then
on, and is stopped by a pass of the keeper once it was idle long enough. The optimum knows all of the traffic
beforehand: it chooses in hindsight the gaps that are run through, the shortest ones, so that no more starts
are left than it is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorry.model.serving import LEAST_IDLE_MINUTES
from lorry.spend.traffic import Asked

#: Half-hours of a day, and their seconds.
SLOTS, _SLOT_SECONDS = 48, 1800


@dataclass(frozen=True, slots=True)
class Idling:
    """How long a model runs on after its last use.

    Attributes:
        minutes: Usually.
        quiet: Half-hours of the day (UTC, from 0) in which it is no more than the least.
    """

    minutes: float
    quiet: frozenset[int] = frozenset()

    def off(self, last: float, every: float) -> float:
        """Say when the keeper stops what was last used at a time.

        Args:
            last: Seconds since 1970.
            every: Seconds between two passes of the keeper.
        """
        end = last + self.minutes * 60
        at = _pass(last + LEAST_IDLE_MINUTES * 60, every)
        while self.quiet and at < end:
            if slot_of(at) in self.quiet:
                return at
            at = _pass((at // _SLOT_SECONDS + 1) * _SLOT_SECONDS, every)
        return _pass(end, every)

    def quiet_hours(self) -> tuple[str, ...]:
        """Write the quiet half-hours as a policy takes them."""
        begins = [slot for slot in sorted(self.quiet) if (slot - 1) % SLOTS not in self.quiet]
        if self.quiet and not begins:
            return ("daily 00:00-24:00",)
        spans = []
        for begin in begins:
            end = begin
            while end % SLOTS in self.quiet:
                end += 1
            spans.append(f"daily {_clock(begin)}-{_clock(end % SLOTS)}")
        return tuple(spans)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a replay assumes.

    Attributes:
        cents_per_hour: Price of a replica, US cents.
        start: Seconds from asleep to answering.
        every: Seconds between two passes of the keeper.
    """

    cents_per_hour: float
    start: float = 120.0
    every: float = 60.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a policy.

    Attributes:
        cents: Cost, US cents.
        minutes: Minutes billed.
        starts: How often it was started.
        requests: Requests in all.
        waits: Those that waited for a start.
        waited: Seconds that those waited, in all.
    """

    cents: float = 0.0
    minutes: int = 0
    starts: int = 0
    requests: int = 0
    waits: int = 0
    waited: float = 0.0

    @property
    def wait_share(self) -> float:
        """Share of requests that waited."""
        return self.waits / self.requests if self.requests else 0.0

    def __add__(self, other: Replayed) -> Replayed:
        return Replayed(
            self.cents + other.cents,
            self.minutes + other.minutes,
            self.starts + other.starts,
            self.requests + other.requests,
            self.waits + other.waits,
            self.waited + other.waited,
        )


def total(parts: Iterable[Replayed]) -> Replayed:
    """Add up."""
    return sum(parts, Replayed())


def replay(requests: Sequence[Asked], policy: Idling, ground: Ground) -> Replayed:
    """Replay one model's traffic under an idle time.

    Args:
        requests: In the order in which they came.
        policy: How long it runs on after its last use.
        ground: What is assumed.
    """
    minutes = starts = waits = 0
    waited = 0.0
    ready = last = off = -math.inf  # since when it answers, until when it was used, and when it is stopped
    for asked in requests:
        if asked.at >= off:
            if starts:
                minutes += minutes_of(ready, off)
            starts, ready = starts + 1, asked.at + ground.start
            last = ready
        if asked.at < ready:
            waits, waited = waits + 1, waited + ready - asked.at
        last = max(last, max(asked.at, ready) + asked.seconds)
        off = policy.off(last, ground.every)
    if starts:
        minutes += minutes_of(ready, off)
    cents = minutes * ground.cents_per_hour / 60
    return Replayed(cents, minutes, starts, len(requests), waits, waited)


def optimum(requests: Sequence[Asked], waits: int, ground: Ground) -> Replayed:
    """Give the cheapest way, known in hindsight, in which no more than so many requests wait.

    A start makes at least one request wait, so at most `waits` starts are left. It is never off for less than
    a start takes.

    Args:
        requests: In the order in which they came.
        waits: Requests that may wait.
        ground: What is assumed.
    """
    if not requests:
        return Replayed()
    busy, gaps = _busy(requests)
    allowed = max(1, waits)
    bridged = sorted(gaps)[: max(0, len(gaps) - (allowed - 1))]
    seconds = busy + sum(bridged)
    starts = 1 + len(gaps) - len(bridged)
    minutes = math.ceil(seconds / 60)
    return Replayed(minutes * ground.cents_per_hour / 60, minutes, starts, len(requests), starts, 0.0)


def _pass(at: float, every: float) -> float:
    """Give the keeper's next pass from a time on."""
    return math.ceil(at / every) * every if math.isfinite(at) else at


def slot_of(at: float) -> int:
    """Give the half-hour of the day, UTC, that a time is in."""
    return int(at % 86400 // _SLOT_SECONDS)


def _clock(slot: int) -> str:
    return f"{slot // 2:02}:{slot % 2 * 30:02}"


def minutes_of(begin: float, end: float) -> int:
    """Count the minutes that are billed between two times, each that is begun."""
    return max(0, math.ceil(round(end - begin, 6) / 60))


def _busy(requests: Sequence[Asked]) -> tuple[float, list[float]]:
    """Give the seconds in which something is answered, and the gaps between, seconds."""
    busy, gaps = 0.0, []
    end = requests[0].at
    for asked in requests:
        if asked.at > end:
            gaps.append(asked.at - end)
            end = asked.at
        until = asked.at + asked.seconds
        if until > end:
            busy += until - end
            end = until
    return busy, gaps
