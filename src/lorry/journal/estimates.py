"""How long a step usually takes: learned from the deliveries that the journal tells of.

Only whole runs count. A step that was interrupted has the time until its resume in it, and one that found
everything there already took no time at all; neither says how long the next one will take.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lorry.model.events import Event

#: Runs without which nothing is said. From 7 on, the longest of them lies above the true p90 more often than
#: not (1 - 0.9^7 = 0.52), and the true median lies among them in 98 of 100 cases (1 - 2 * 0.5^7). With fewer,
#: the p90 would be too short for most people who read it.
ENOUGH = 7
#: Runs that are looked at, newest first: a platform that has become slower is told of after some deliveries.
NEWEST = 50

_SPEAKER = "delivery"


@dataclass(frozen=True, slots=True)
class StepKey:
    """Which runs can be compared: one step of one route, on the platform or on the engine that plays it."""

    route: str
    step: str
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long runs of a step took, seconds.

    Attributes:
        p50: Half of them took at most so long.
        p90: 9 of 10 took at most so long.
        samples: How many there were.
    """

    p50: float
    p90: float
    samples: int

    def sentence(self, elapsed: float) -> str:
        """Say what is to be expected of a run.

        Args:
            elapsed: How long it has been going on, seconds.
        """
        if elapsed < self.p50:
            return f"usually {duration(self.p50)}, so about {duration(self.p50 - elapsed)} more"
        if elapsed <= self.p90:
            return f"9 of 10 end within {duration(self.p90)}"
        return f"longer than 9 of 10 by now, which ended within {duration(self.p90)}"

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


Estimates = dict[StepKey, Estimate]


class ReadsSteps(Protocol):
    """The part of a journal that tells of the steps of all models."""

    async def read_steps(self) -> tuple[Event, ...]:
        """Read what began, adopted, ended and resumed steps, of all models, oldest first."""


async def read_estimates(journal: ReadsSteps) -> Estimates:
    """Learn from a journal how long steps take.

    Args:
        journal: Where the deliveries are told.
    """
    return learned(await journal.read_steps())


def learned(events: Iterable[Event]) -> Estimates:
    """Learn from events how long steps take.

    Args:
        events: Of any number of models, oldest first; those that neither begin nor end a step may be missing.

    Returns:
        An estimate for each step of which there are enough runs.
    """
    runs: defaultdict[StepKey, list[float]] = defaultdict(list)
    whole: dict[tuple[str, str], bool] = {}  # runs that go on, by model and step: whether they count so far
    for event in events:
        if event.source != _SPEAKER:
            continue
        run = (event.model, event.subject)
        if event.subject == "resume":
            whole.update({each: False for each in whole if each[0] == event.model})
        elif event.action == "started":
            whole[run] = True
        elif event.action == "adopted" and run in whole:
            whole[run] = False
        elif event.action in ("done", "failed") and whole.pop(run, False):
            _count(runs, event)
    return {key: _estimate(seconds[-NEWEST:]) for key, seconds in runs.items() if len(seconds) >= ENOUGH}


def _count(runs: defaultdict[StepKey, list[float]], event: Event) -> None:
    route = event.data.get("route")
    if event.action == "done" and event.seconds is not None and isinstance(route, str):
        rehearsal = bool(event.data.get("rehearsal"))
        runs[StepKey(route, event.subject, rehearsal)].append(event.seconds)


def _estimate(seconds: Sequence[float]) -> Estimate:
    ordered = sorted(seconds)
    return Estimate(_quantile(ordered, 0.5), _quantile(ordered, 0.9), len(ordered))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Give the nearest rank: a time that a run really took, not one between two."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def duration(seconds: float) -> str:
    """Write a time as a person says it.

    Args:
        seconds: How long.
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
