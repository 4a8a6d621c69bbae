"""What a model's own traffic teaches: how long it should idle, and what each policy would have cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from lorry.model.serving import LEAST_IDLE_MINUTES
from lorry.spend.replay import (
    SLOTS,
    Ground,
    Idling,
    Replayed,
    minutes_of,
    optimum,
    replay,
    slot_of,
    total,
)
from lorry.spend.traffic import Asked, Traffic

#: Idle times that are shown, minutes, and those that are tried for a single model.
CANDIDATES = (10, 15, 20, 30, 45, 60, 90, 120, 180, 240)
TRIED = (*range(10, 60), *CANDIDATES[5:])

#: Seconds from which on a pause is long.
_LONG_PAUSE = 3600.0


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
            pauses.setdefault(slot_of(end + LEAST_IDLE_MINUTES * 60), []).append(next_.at - end > _LONG_PAUSE)
    used = {slot_of(asked.at) for asked in requests}
    usually = {slot for slot, found in pauses.items() if sum(found) * 2 > len(found)}
    return frozenset(usually | (set(range(SLOTS)) - used))


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
    minutes = minutes_of(ready, max(end, ready))
    waited = sum(ready - each.at for each in waits)
    return Replayed(minutes * ground.cents_per_hour / 60, minutes, 1, len(requests), len(waits), waited)
