"""Which request of the queue is begun next: a pure function.

Whoever has the least under way comes first, and of one owner the oldest: an owner with a thousand requests
does not hold up one with a single one (max-min fairness over owners, first come first served within each).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits: its id, whose it is, and for which model."""

    id: str
    owner: str | None
    model: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be under way at once.

    Attributes:
        at_once: In all.
        per_owner: Of one owner.
        per_model: Gives the same for a model.
    """

    at_once: int
    per_owner: int
    per_model: Callable[[str], int]


def next_ones(
    waiting: Sequence[Waiting], running: Iterable[tuple[str | None, str]], limits: Limits
) -> list[Waiting]:
    """Choose what is begun now, in order.

    Args:
        waiting: Oldest first.
        running: Owner and model of what is under way.
        limits: What may be.
    """
    under_way = list(running)
    owners = Counter(owner for owner, _ in under_way)
    models = Counter(model for _, model in under_way)
    chosen: list[Waiting] = []
    left = list(waiting)
    while left and len(under_way) + len(chosen) < limits.at_once:
        fit = [
            each
            for each in left
            if owners[each.owner] < limits.per_owner and models[each.model] < limits.per_model(each.model)
        ]
        if not fit:
            break
        best = min(fit, key=lambda each: owners[each.owner])  # the first of the least: the oldest
        chosen.append(best)
        left.remove(best)
        owners[best.owner] += 1
        models[best.model] += 1
    return chosen
