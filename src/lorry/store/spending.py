"""Leases, runs and budgets in the database, and what the ledger says of use and cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, or_, select

from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.budget import Budget, Spent, scopes_of
from lorry.model.costs import Bought
from lorry.model.kept import State
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy
from lorry.spend.ports import Activity
from lorry.spend.scaling import Load
from lorry.spend.traffic import Asked
from lorry.store.database import Database, unbroken
from lorry.store.dialects import upsert, upsert_many
from lorry.store.tables import BUDGETS, GENERATIONS, LEASES, LEDGER, RUNS

if TYPE_CHECKING:
    from lorry.store.opening import Store

_MINUTE = 16  # `2026-11-02T12:00`, the beginning of a time in ISO 8601
_DAY = 10


class StoredBooks:
    """`lorry.spend.ports.Books` over the tables `leases`, `runs`, `budgets` and `ledger`.

    Args:
        store: The models, placements and policies beside them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database: Database = store.database

    async def leases(self) -> tuple[Lease, ...]:
        """Read all leases."""
        return tuple(map(_lease, await self._database.rows(select(LEASES).order_by(LEASES.c.until))))

    @unbroken
    async def save_leases(self, leases: Sequence[Lease], gone: Collection[str] = ()) -> None:
        """Write leases, and forget those of objects that are gone."""
        async with self._database.writing() as connection:
            if gone:
                await connection.execute(delete(LEASES).where(LEASES.c.object.in_(list(gone))))
            if leases:
                rows = [each.as_dict() for each in leases]
                await connection.execute(upsert_many(self._database.dialect, LEASES), rows)

    async def open_runs(self) -> tuple[Run, ...]:
        """Read what runs, as far as is known."""
        return tuple(map(_run, await self._database.rows(select(RUNS).where(RUNS.c.ended_at.is_(None)))))

    async def runs(self, since: datetime, until: datetime) -> tuple[Run, ...]:
        """Read what ran within a period."""
        within = or_(RUNS.c.ended_at.is_(None), RUNS.c.ended_at > since.isoformat())
        query = select(RUNS).where(within, RUNS.c.begun_at < until.isoformat()).order_by(RUNS.c.begun_at)
        return tuple(map(_run, await self._database.rows(query)))

    @unbroken
    async def save_runs(self, runs: Sequence[Run]) -> None:
        """Write runs; one of the same object and beginning is replaced."""
        if not runs:
            return
        rows = [
            {
                **asdict(each),
                "begun_at": each.begun_at.isoformat(),
                "ended_at": each.ended_at.isoformat() if each.ended_at else None,
            }
            for each in runs
        ]
        async with self._database.writing() as connection:
            await connection.execute(upsert_many(self._database.dialect, RUNS), rows)

    async def activity(self, since: datetime, now: datetime) -> Mapping[str, Activity]:
        """Say what was asked of each place since a time, by the name of the shipped model.

        Requests at once are by Little's law: the time of all that began in a minute, by that minute. The
        newest two minutes count as now, as what began a moment ago is not written yet.
        """
        minute = func.substr(LEDGER.c.at, 1, _MINUTE).label("minute")
        query = (
            select(
                LEDGER.c.place,
                minute,
                func.sum(LEDGER.c.milliseconds).label("ms"),
                func.max(LEDGER.c.at).label("at"),
            )
            .where(LEDGER.c.at >= since.isoformat(), LEDGER.c.place.is_not(None))
            .group_by(LEDGER.c.place, minute)
        )
        fresh = (now - timedelta(minutes=2)).isoformat()[:_MINUTE]
        used: dict[str, str] = {}
        present: dict[str, float] = defaultdict(float)
        peak: dict[str, float] = defaultdict(float)
        for row in await self._database.rows(query):
            place, at_once = row["place"], row["ms"] / 60_000
            used[place] = max(used.get(place, ""), row["at"])
            peak[place] = max(peak[place], at_once)
            if row["minute"] >= fresh:
                present[place] = max(present[place], at_once)
        waiting = await self._waiting()
        for place, count in waiting.items():
            present[place] += count
            peak[place] = max(peak[place], present[place])
        return {
            place: Activity(_moment(used.get(place)), Load(present[place], peak[place]))
            for place in {*used, *waiting}
        }

    async def _waiting(self) -> dict[str, int]:
        query = (
            select(GENERATIONS.c.model, func.count().label("n"))
            .where(GENERATIONS.c.queued, GENERATIONS.c.state == str(State.WAITING))
            .group_by(GENERATIONS.c.model)
        )
        return {row["model"]: int(row["n"]) for row in await self._database.rows(query)}

    async def budgets(self) -> tuple[Budget, ...]:
        """Read the budgets."""
        rows = await self._database.rows(select(BUDGETS).order_by(BUDGETS.c.scope))
        return tuple(Budget(**row) for row in rows)

    async def set_budget(self, budget: Budget) -> None:
        """Write a budget."""
        changes = [each.name for each in fields(Budget) if each.name != "scope"]
        await self._database.run(upsert(self._database.dialect, BUDGETS, budget.as_dict(), changes))

    async def forget_budget(self, scope: str) -> None:
        """Forget a budget."""
        await self._database.run(delete(BUDGETS).where(BUDGETS.c.scope == scope))

    async def spent(self, now: datetime) -> Mapping[str, Spent]:
        """Sum what was spent in the day and month that have begun (UTC), by the scopes of budgets.

        Rehearsals are not spent. What several models share counts to all, and to no model.
        """
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        month = day.replace(day=1)
        policies = await self._store.policies()
        days: dict[str, float] = defaultdict(float)
        months: dict[str, float] = defaultdict(float)

        def add(model: str | None, in_day: float, in_month: float) -> None:
            owner = policies[model].owner if model is not None and model in policies else None
            for scope in scopes_of(model, owner):
                days[scope] += in_day
                months[scope] += in_month

        for run in await self.runs(month, now):
            if not run.rehearsal:
                add(run.model, run.cents(day, now), run.cents(month, now))
        for each in await self.bought(month, now + timedelta(minutes=1)):  # this moment counts too
            if not each.rehearsal and each.cents:
                add(each.model, each.cents if each.day == day.date().isoformat() else 0.0, each.cents)
        return {scope: Spent(days[scope], months[scope]) for scope in months}

    async def bought(self, since: datetime, until: datetime) -> tuple[Bought, ...]:
        """Sum requests and what they cost, by day, model, owner and route."""
        day = func.substr(LEDGER.c.at, 1, _DAY).label("day")
        model = func.coalesce(LEDGER.c.place, LEDGER.c.model).label("model")
        columns = (day, model, LEDGER.c.owner, LEDGER.c.route, LEDGER.c.rehearsal)
        query = (
            select(
                *columns,
                func.count().label("requests"),
                func.count(func.distinct(func.substr(LEDGER.c.at, 1, _MINUTE))).label("minutes"),
                func.sum(LEDGER.c.cents).label("cents"),
            )
            .where(
                LEDGER.c.at >= since.isoformat(), LEDGER.c.at < until.isoformat(), LEDGER.c.route.is_not(None)
            )
            .group_by(*columns)
        )
        policies = await self._store.policies()
        rows = await self._database.rows(query)
        return tuple(
            Bought(
                **{
                    **row,
                    "owner": _owner(row, policies),
                    "rehearsal": bool(row["rehearsal"]) or row["route"] == "local",  # nobody owes either
                }
            )
            for row in rows
        )

    async def asked(self, since: datetime, until: datetime) -> Mapping[str, Sequence[Asked]]:
        """Read when which place was asked, and for how long."""
        query = (
            select(LEDGER.c.place, LEDGER.c.at, LEDGER.c.milliseconds)
            .where(
                LEDGER.c.at >= since.isoformat(), LEDGER.c.at < until.isoformat(), LEDGER.c.place.is_not(None)
            )
            .order_by(LEDGER.c.at)
        )
        found: dict[str, list[Asked]] = defaultdict(list)
        for row in await self._database.rows(query):
            at = datetime.fromisoformat(row["at"]).timestamp()
            found[row["place"]].append(Asked(at, row["milliseconds"] / 1000))
        return found

    async def shipped(self) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], Mapping[str, Policy]]:
        """Read models, placements, and the policies that were set."""
        store = self._store
        return await store.models(), await store.placements(), await store.policies()


def _owner(row: Mapping[str, Any], policies: Mapping[str, Policy]) -> str | None:
    policy = policies.get(row["model"])
    return policy.owner if policy and policy.owner else row["owner"]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _lease(row: Mapping[str, Any]) -> Lease:
    times = {name: _moment(row[name]) for name in ("until", "granted", "used_at", "ready_at", "changed_at")}
    return Lease(**{**row, **times, "kind": BilledKind(row["kind"])})


def _run(row: Mapping[str, Any]) -> Run:
    return Run(**{**row, **{name: _moment(row[name]) for name in ("begun_at", "ended_at")}})
