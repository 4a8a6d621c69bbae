"""From what a platform shows to what ran from when to when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lorry.model.billing import Billed, Run


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom a run is counted to: a model and its route; `None` for what several share or nobody knows."""

    model: str | None = None
    route: str | None = None


def settled(
    thing: Billed,
    known: Run | None,
    changes: Sequence[tuple[datetime, int]],
    whose: Whose,
    now: datetime,
) -> tuple[Run, ...]:
    """Say what ran, after the number of replicas was seen to change.

    Args:
        thing: What the platform shows.
        known: What was running as far as we knew; `None` for nothing.
        changes: When the platform says that the number changed, and to what, oldest first; may be empty.
        whose: Whom it is counted to.
        now: The time of the look, UTC.

    Returns:
        Runs to be written: that which ended, those between, and the one that goes on.
    """
    steps = [(at, count) for at, count in changes if known is None or at > known.begun_at]
    if not steps or steps[-1][1] != thing.running:
        steps.append((now, thing.running))  # the platform told no times, or not yet of the newest change
    runs: list[Run] = []
    present = known
    for at, count in steps:
        if present is not None and present.replicas == count and present.cents_per_hour == _price(thing):
            continue
        if present is not None:
            runs.append(replace(present, ended_at=at))
            present = None
        if count > 0:
            present = _begun(thing, whose, count, at)
    return (*runs, *([present] if present is not None else []))


def differs(thing: Billed, known: Run | None) -> bool:
    """Say whether what a platform shows is not what we knew."""
    if known is None:
        return thing.running > 0
    return thing.running != known.replicas or _price(thing) != known.cents_per_hour


def _begun(thing: Billed, whose: Whose, count: int, at: datetime) -> Run:
    return Run(
        object=thing.id,
        name=thing.name,
        model=whose.model,
        route=whose.route,
        rehearsal=thing.rehearsal,
        hardware=thing.hardware,
        cents_per_hour=_price(thing),
        replicas=count,
        begun_at=at,
    )


def _price(thing: Billed) -> float | None:
    return thing.cents_per_hour
