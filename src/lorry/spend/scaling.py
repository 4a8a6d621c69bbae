"""How many replicas the requests under way call for, without flapping. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

#: No second change within this time after one, seconds: a replica needs some minutes to start, and what is
#: measured before it answers says nothing about it.
STABLE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    """Requests under way at one place.

    Attributes:
        now: In the newest minute, on average, with those that wait in the queue.
        peak: The most of any minute within the stabilisation window.
    """

    now: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True, slots=True)
class Range:
    """Replicas that there may be, and the requests at once that one shall answer.

    Attributes:
        target: Requests at once for each replica.
        least: Replicas that always run.
        most: Replicas that run at most.
        spare: Replicas beyond what is called for.
    """

    target: float
    least: int = 1
    most: int = 1
    spare: int = 0

    def replicas(self, requests: float) -> int:
        """Say how many replicas so many requests at once call for."""
        called = math.ceil(round(requests / self.target, 6)) + self.spare
        return min(max(called, self.least, 1), max(self.most, 1))


def replicas_for(
    present: int, load: Load, wanted: Range, changed_at: datetime | None, now: datetime
) -> tuple[int, str]:
    """Say how many replicas there shall be, and why.

    More come as soon as the newest minute calls for them; fewer only when the busiest minute of the window
    called for fewer. After a change nothing changes for the length of the window, so a load that swings has
    one change in it at most.

    Args:
        present: Replicas that there shall be now.
        load: Requests under way.
        wanted: What is asked for.
        changed_at: When that number was last changed.
        now: The time.
    """
    up, down = wanted.replicas(load.now), wanted.replicas(load.peak)
    goal = up if up > present else min(present, max(up, down))
    if goal == present:
        return present, f"{load.now:.1f} requests at once call for {up}, as there are"
    if changed_at is not None and now - changed_at < timedelta(seconds=STABLE_SECONDS):
        return present, f"{load.now:.1f} requests at once call for {goal}, but it changed a moment ago"
    seen = load.now if goal > present else load.peak
    return goal, f"{seen:.1f} requests at once, {wanted.target:g} for each replica"
