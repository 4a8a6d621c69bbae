"""What was spent on what: from what ran and from what was asked, by model, owner, route or day. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lorry.model.billing import Run
from lorry.model.costs import Bought, Cost, Report
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy
from lorry.spend.matching import shipped

#: By what costs can be told.
BY = ("model", "owner", "route", "day")


def report(
    runs: Sequence[Run],
    bought: Sequence[Bought],
    owners: Mapping[str, str | None],
    sharing: Mapping[str, Sequence[str]],
    since: datetime,
    until: datetime,
    by: str = "model",
    *,
    rehearsal: bool = False,
    owner: str | None = None,
) -> Report:
    """Put the costs of a period together.

    Args:
        runs: What ran.
        bought: What was asked.
        owners: Whose each model is.
        sharing: Models that something serves that several share, by its id.
        since: Beginning of the period, UTC.
        until: Its end.
        by: One of `BY`.
        rehearsal: Whether rehearsals are what is told of.
        owner: Whose models alone; those of all when `None`.
    """
    parts: dict[str, list[Cost]] = defaultdict(list)
    asked = {(each.day, each.model): each for each in bought}
    other = 0.0
    for run in runs:
        if run.rehearsal != rehearsal:
            other += run.cents(since, until) if owner is None or owners.get(run.model or "") == owner else 0.0
            continue
        for member, key, part in _of_run(run, bought, asked, owners, sharing, since, until, by):
            if owner is None or owners.get(member) == owner:
                parts[key].append(part)
    for each in bought:
        if owner is not None and each.owner != owner:
            continue
        if each.rehearsal != rehearsal:
            other += each.cents
        else:
            key = _key(by, each.model, each.owner, each.route, each.day)
            parts[key].append(Cost(key, requests_cents=each.cents, requests=each.requests))
    ahead = _ahead(since, until)
    rows = [_projected(_sum(key, found), *ahead) for key, found in parts.items()]
    rows.sort(key=(lambda row: row.key) if by == "day" else lambda row: (-row.cents, row.key))
    total = _projected(_sum("total", rows), *ahead)
    return Report(since, until, by, tuple(rows), total, 0.0 if rehearsal else other)


def _of_run(
    run: Run,
    bought: Sequence[Bought],
    asked: Mapping[tuple[str, str], Bought],
    owners: Mapping[str, str | None],
    sharing: Mapping[str, Sequence[str]],
    since: datetime,
    until: datetime,
    by: str,
) -> Iterable[tuple[str, str, Cost]]:
    """Split a run into what it costs each model and key: by day, and by the requests of who shares it."""
    members = [run.model] if run.model else list(sharing.get(run.object, ())) or [f"{run.name} (shared)"]
    whole = run.minutes(since, until) * run.replicas
    parts = list(_days(run, since, until)) if by == "day" else [("", since, until)]
    spread = sum(run.minutes(begin, end) for _, begin, end in parts) * run.replicas
    for day, begin, end in parts:
        billed = run.minutes(begin, end) * run.replicas
        if not billed:
            continue
        minutes = billed * whole / spread  # a minute over midnight is one minute, not two
        weights = _weights(members, bought)
        for member in members:
            share = minutes * weights[member]
            used = _used(run, member, asked, begin, end)
            key = _key(by, member, owners.get(member), run.route or "unknown", day)
            yield (
                member,
                key,
                Cost(
                    key,
                    hours_cents=share * (run.cents_per_hour or 0.0) / 60,
                    running_cents=_running(run, until, end) * weights[member],
                    minutes=share,
                    idle_minutes=max(0.0, share - used),
                    untold=run.cents_per_hour is None,
                ),
            )


def _running(run: Run, until: datetime, end: datetime) -> float:
    on = run.ended_at is None and end == until
    return run.replicas * (run.cents_per_hour or 0.0) if on else 0.0


def _weights(members: Sequence[str], bought: Sequence[Bought]) -> dict[str, float]:
    counts = {member: sum(each.requests for each in bought if each.model == member) for member in members}
    total = sum(counts.values())
    even = 1 / len(members)
    return {member: counts[member] / total if total else even for member in members}


def _used(
    run: Run, member: str, asked: Mapping[tuple[str, str], Bought], begin: datetime, end: datetime
) -> float:
    """Count the minutes in which a model was asked, at most those that the run had on each day."""
    used = 0.0
    for day, first, last in _days(run, begin, end):
        found = asked.get((day, member))
        if found is not None:
            used += min(found.minutes, run.minutes(first, last) * run.replicas)
    return used


def _days(run: Run, since: datetime, until: datetime) -> Iterable[tuple[str, datetime, datetime]]:
    """Cut a run at midnight, UTC."""
    begin = max(run.begun_at, since)
    end = until if run.ended_at is None else min(run.ended_at, until)
    while begin < end:
        midnight = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        last = min(midnight + timedelta(days=1), end)
        yield midnight.date().isoformat(), begin, last
        begin = last


def _key(by: str, model: str, owner: str | None, route: str, day: str) -> str:
    keys: dict[str, Callable[[], str]] = {
        "model": lambda: model,
        "owner": lambda: owner or "(no owner)",
        "route": lambda: route,
        "day": lambda: day,
    }
    return keys[by]()


_ADDED = ("hours_cents", "requests_cents", "running_cents", "minutes", "idle_minutes", "requests")


def _sum(key: str, parts: Sequence[Cost]) -> Cost:
    sums: dict[str, float] = {name: sum(getattr(part, name) for part in parts) for name in _ADDED}
    return Cost(key, month_cents=0.0, untold=any(part.untold for part in parts), **sums)


def _projected(cost: Cost, whole: float, left: float, share: float) -> Cost:
    """Say what the month comes to: what was spent, scaled to a month, or with what is still to come of it.

    What runs now runs on until then, and requests go on as they came.
    """
    to_come = cost.running_cents * left + cost.requests_cents * share
    return replace(cost, month_cents=cost.cents * whole + to_come)


def _ahead(since: datetime, until: datetime) -> tuple[float, float, float]:
    """Give by what is spent counts, the hours that are left of the month, and what of requests is to come.

    A period that begins with its month is what was spent of it. Any other is scaled to the length of a month.
    """
    first = until.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (first + timedelta(days=32)).replace(day=1)
    period = max((until - since).total_seconds(), 60.0)
    if since != first:
        return (end - first).total_seconds() / period, 0.0, 0.0
    left = (end - until).total_seconds()
    return 1.0, left / 3600, left / period


class Money(Protocol):
    """What costs are put together from."""

    async def runs(self, since: datetime, until: datetime) -> tuple[Run, ...]:
        """Read what ran within a period."""

    async def bought(self, since: datetime, until: datetime) -> tuple[Bought, ...]:
        """Sum requests and what they cost, by day, model, owner and route."""

    async def shipped(self) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], Mapping[str, Policy]]:
        """Read models, placements, and the policies that were set."""


async def costs_of(
    books: Money,
    since: datetime,
    until: datetime,
    by: str = "model",
    *,
    rehearsal: bool = False,
    owner: str | None = None,
) -> Report:
    """Read and put together the costs of a period.

    Args:
        books: Where from.
        since: Beginning of the period, UTC.
        until: Its end.
        by: One of `BY`.
        rehearsal: Whether rehearsals are what is told of.
        owner: Whose models alone; those of all when `None`.
    """
    known = shipped(*await books.shipped())
    owners = {each.model: known.policy(each.model).owner for each in known.placements}
    sharing = {key: tuple(each.model for each in found) for (_, key), found in known.by_object.items()}
    runs, bought = await books.runs(since, until), await books.bought(since, until)
    return report(runs, bought, owners, sharing, since, until, by, rehearsal=rehearsal, owner=owner)
