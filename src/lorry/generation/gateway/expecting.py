"""How long a start will take: learned from the starts before it, by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

#: The stages of a start, in order: until the platform says that it is starting, until it says that it is
#: ready, and until it answers.
STAGES = ("accepted", "loading", "answering")
ALL = "all"

#: Starts of one model without which those of all models of its route are taken.
ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds that starts took.

    Attributes:
        p50: Half of them took at most so long.
        p90: 9 of 10 took at most so long.
        samples: How many there were.
        stages: The same two by stage.
    """

    p50: float
    p90: float
    samples: int
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


def expected(known: Iterable[tuple[str, str, float]], model: str) -> Expected | None:
    """Say how long a start will take.

    Args:
        known: Model, stage and seconds of earlier starts of the route; the stage `all` is the whole.
        model: Which model starts; its own starts count alone once there are `ENOUGH` of them.

    Returns:
        What to expect; `None` where nothing is known.
    """
    by_stage: dict[str, list[float]] = defaultdict(list)
    own: dict[str, list[float]] = defaultdict(list)
    for name, stage, seconds in known:
        by_stage[stage].append(seconds)
        if name == model:
            own[stage].append(seconds)
    chosen = own if len(own[ALL]) >= ENOUGH else by_stage
    whole = sorted(chosen[ALL])
    if not whole:
        return None
    stages = {
        stage: (quantile(sorted(chosen[stage]), 0.5), quantile(sorted(chosen[stage]), 0.9))
        for stage in STAGES
        if chosen[stage]
    }
    return Expected(quantile(whole, 0.5), quantile(whole, 0.9), len(whole), stages)


def quantile(ordered: list[float], share: float) -> float:
    """Give the smallest value that at least a share of the values is not above.

    Args:
        ordered: Values, smallest first; at least one.
        share: From 0 to 1.
    """
    place = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(0, min(len(ordered), int(place)) - 1)]
