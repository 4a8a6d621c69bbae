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
from itertools import pairwise

from lorry.model.serving import LEAST_IDLE_MINUTES
from lorry.spend.traffic import Asked, Traffic

#: Idle times that are shown, minutes, and those that are tried for a single model.
CANDIDATES = (10, 15, 20, 30, 45, 60, 90, 120, 180, 240)
TRIED = (*range(10, 60), *CANDIDATES[5:])

#: Half-hours of a day, and the seconds from which on a pause is long.
_SLOTS, _SLOT_SECONDS, _LONG_PAUSE = 48, 1800, 3600.0


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
            if _slot(at) in self.quiet:
                return at
            at = _pass((at // _SLOT_SECONDS + 1) * _SLOT_SECONDS, every)
        return _pass(end, every)

    def quiet_hours(self) -> tuple[str, ...]:
        """Write the quiet half-hours as a policy takes them."""
        begins = [slot for slot in sorted(self.quiet) if (slot - 1) % _SLOTS not in self.quiet]
        if self.quiet and not begins:
            return ("daily 00:00-24:00",)
        spans = []
        for begin in begins:
            end = begin
            while end % _SLOTS in self.quiet:
                end += 1
            spans.append(f"daily {_clock(begin)}-{_clock(end % _SLOTS)}")
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
                minutes += _minutes(ready, off)
            starts, ready = starts + 1, asked.at + ground.start
            last = ready
        if asked.at < ready:
            waits, waited = waits + 1, waited + ready - asked.at
        last = max(last, max(asked.at, ready) + asked.seconds)
        off = policy.off(last, ground.every)
    if starts:
        minutes += _minutes(ready, off)
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


def idle_for(requests: Sequence[Asked], wait_share: float, ground: Ground) -> tuple[Idling, Replayed]:
    """Choose how long a model idles: the cheapest way in which no more than a share of requests waits.

    Quiet hours are learned first: those after which nobody usually asks for long.

    Args:
        requests: What is learned from.
        wait_share: The share, 0 to 1.
        ground: What is assumed.

    Returns:
        The policy, and what came of it; the longest idle time that is tried where none is enough.
    """
    found: list[tuple[Idling, Replayed]] = []
    for quiet in {frozenset[int](), quiet_slots(requests)}:
        low, high = 0, len(TRIED) - 1  # the longer it idles, the fewer wait
        while low < high:
            middle = (low + high) // 2
            keeps = replay(requests, Idling(TRIED[middle], quiet), ground).wait_share <= wait_share
            low, high = (low, middle) if keeps else (middle + 1, high)
        chosen = Idling(TRIED[low], quiet)
        found.append((chosen, replay(requests, chosen, ground)))
    enough = [each for each in found if each[1].wait_share <= wait_share]
    return min(enough or found[-1:], key=lambda each: each[1].cents)


def quiet_slots(requests: Sequence[Asked]) -> frozenset[int]:
    """Say in which half-hours of the day (UTC) a pause, once it is longer than the least, is usually long.

    Args:
        requests: In the order in which they came.
    """
    pauses: dict[int, list[bool]] = {}
    for asked, next_ in pairwise(requests):
        end = asked.at + asked.seconds
        if next_.at - end > LEAST_IDLE_MINUTES * 60:
            pauses.setdefault(_slot(end + LEAST_IDLE_MINUTES * 60), []).append(next_.at - end > _LONG_PAUSE)
    used = {_slot(asked.at) for asked in requests}
    usually = {slot for slot, found in pauses.items() if sum(found) * 2 > len(found)}
    return frozenset(usually | (set(range(_SLOTS)) - used))


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
            total(replay(each, Idling(minutes), ground) for each in traffic.values()),
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


def _pass(at: float, every: float) -> float:
    """Give the keeper's next pass from a time on."""
    return math.ceil(at / every) * every if math.isfinite(at) else at


def _slot(at: float) -> int:
    return int(at % 86400 // _SLOT_SECONDS)


def _clock(slot: int) -> str:
    return f"{slot // 2:02}:{slot % 2 * 30:02}"


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
