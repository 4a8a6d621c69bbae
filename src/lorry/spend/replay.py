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
from datetime import UTC, datetime

from lorry.model.hours import Hours, open_until
from lorry.spend.traffic import Asked, Traffic

#: Idle times that are tried, minutes.
CANDIDATES = (10, 15, 20, 30, 45, 60, 90, 120, 180, 240)


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


def replay(requests: Sequence[Asked], idle: float, ground: Ground, hours: Sequence[Hours] = ()) -> Replayed:
    """Replay one model's traffic under an idle time.

    Args:
        requests: In the order in which they came.
        idle: Seconds that it runs on after its last use.
        ground: What is assumed.
        hours: Hours in which it is kept running once it is on.
    """
    minutes = starts = waits = 0
    waited = 0.0
    ready = last = -math.inf  # since when it answers, and until when it was used
    for asked in requests:
        off = _off(last, idle, ground, hours)
        if asked.at >= off:
            if starts:
                minutes += _minutes(ready, off)
            starts, ready = starts + 1, asked.at + ground.start
            last = ready
        if asked.at < ready:
            waits, waited = waits + 1, waited + ready - asked.at
        last = max(last, max(asked.at, ready) + asked.seconds)
    if starts:
        minutes += _minutes(ready, _off(last, idle, ground, hours))
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


def idle_for(requests: Sequence[Asked], wait_share: float, ground: Ground) -> tuple[int, Replayed]:
    """Choose the shortest idle time under which no more than a share of requests waits.

    Args:
        requests: What is learned from.
        wait_share: The share, 0 to 1.
        ground: What is assumed.

    Returns:
        Minutes, and what came of them; the longest that is tried where none is enough.
    """
    found = (CANDIDATES[-1], Replayed())
    for minutes in CANDIDATES:
        found = (minutes, replay(requests, minutes * 60, ground))
        if found[1].wait_share <= wait_share:
            break
    return found


def compare(traffic: Traffic, ground: Ground, wait_share: float) -> list[tuple[str, Replayed]]:
    """Replay traffic under each policy that there is.

    Args:
        traffic: By model.
        ground: What is assumed.
        wait_share: Requests that may wait, as a share, for what is chosen by model.

    Returns:
        Name and outcome of each, and at the end the optimum for the same share.
    """
    rows = [
        (
            f"stop after {minutes} min idle",
            total(replay(each, minutes * 60, ground) for each in traffic.values()),
        )
        for minutes in CANDIDATES
    ]
    learned = total(idle_for(each, wait_share, ground)[1] for each in traffic.values())
    end = max((each.at + each.seconds for all_ in traffic.values() for each in all_), default=0.0)
    always = total(_always(each, end, ground) for each in traffic.values())
    best = total(optimum(each, math.floor(wait_share * len(each)), ground) for each in traffic.values())
    return [
        ("never stop", always),
        *rows,
        (f"idle time by model, at most {wait_share:.2%} wait", learned),
        (f"optimum in hindsight, at most {wait_share:.2%} wait", best),
    ]


def _always(requests: Sequence[Asked], end: float, ground: Ground) -> Replayed:
    """Give what it costs to start a model with its first request and never stop it."""
    if not requests:
        return Replayed()
    ready = requests[0].at + ground.start
    waits = [each for each in requests if each.at < ready]
    minutes = _minutes(ready, max(end, ready))
    waited = sum(ready - each.at for each in waits)
    return Replayed(minutes * ground.cents_per_hour / 60, minutes, 1, len(requests), len(waits), waited)


def _off(last: float, idle: float, ground: Ground, hours: Sequence[Hours]) -> float:
    """Say when the keeper stops what was last used at a time: with its next pass after the lease is over."""
    if last == -math.inf:
        return -math.inf
    end = last + idle
    if hours and (window := open_until(hours, datetime.fromtimestamp(end, UTC))) is not None:
        end = window.timestamp()
    return math.ceil(end / ground.every) * ground.every if math.isfinite(end) else end


def _minutes(begin: float, end: float) -> int:
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
