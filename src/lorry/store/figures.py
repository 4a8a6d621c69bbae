"""What the ledger says when it is counted: by model, and by the hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

from lorry.model.kept import Came
from lorry.model.tally import SPANS, Hour, Tally
from lorry.store.database import Database
from lorry.store.tables import LEASES, LEDGER, RUNS

_HOUR = 13  # `2026-11-02T12`, the beginning of a time in ISO 8601

#: What counts against a place. Who left, and what was refused for what it asked, tells nothing of it.
_BAD = (Came.FAILED, Came.UNKNOWN)


class StoredFigures:
    """`lorry.server.rooms.Figures` over the table `ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def asked(self, since: datetime) -> Mapping[str, Tally]:
        """Count the requests for each model since a time."""
        model = func.coalesce(LEDGER.c.place, LEDGER.c.model).label("model")
        query = (
            select(model, LEDGER.c.outcome, func.count().label("n"))
            .where(LEDGER.c.at >= since.isoformat(), LEDGER.c.outcome.in_((Came.OK, *_BAD)))
            .group_by(model, LEDGER.c.outcome)
        )
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for row in await self._database.rows(query):
            counts[row["model"]][0] += row["n"]
            counts[row["model"]][1] += row["n"] if row["outcome"] in _BAD else 0
        return {name: Tally(*found) for name, found in counts.items()}

    async def asleep(self) -> frozenset[str]:
        """List what ran and does not any more, nor may: objects without a run that goes on, and a lease."""
        open_ = func.sum(case((RUNS.c.ended_at.is_(None), 1), else_=0))
        leased = select(LEASES.c.object)
        query = select(RUNS.c.object).group_by(RUNS.c.object).having(open_ == 0)
        return frozenset(
            row["object"] for row in await self._database.rows(query.where(RUNS.c.object.not_in(leased)))
        )

    async def hours(self, since: datetime, owner: str | None) -> tuple[Hour, ...]:
        """Count the requests of each hour since a time, of an owner or of all."""
        hour = func.substr(LEDGER.c.at, 1, _HOUR).label("hour")
        ends = [(LEDGER.c.milliseconds < end, place) for place, end in enumerate(SPANS)]
        span = case(*ends, else_=len(SPANS)).label("span")
        columns = (hour, LEDGER.c.outcome, LEDGER.c.code, LEDGER.c.route, span)
        query = select(*columns, func.count().label("n")).where(LEDGER.c.at >= since.isoformat())
        if owner is not None:
            query = query.where(LEDGER.c.owner == owner)
        rows = await self._database.rows(query.group_by(*columns).order_by(hour))
        by_hour: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_hour[row["hour"]].append(row)
        return tuple(_hour(name, found) for name, found in by_hour.items())


def _hour(name: str, rows: Iterable[Mapping[str, Any]]) -> Hour:
    outcomes: dict[str, int] = defaultdict(int)
    codes: dict[str, int] = defaultdict(int)
    spans: dict[int, int] = defaultdict(int)
    routes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        outcomes[row["outcome"]] += row["n"]
        if row["code"]:
            codes[row["code"]] += row["n"]
        if row["outcome"] == Came.OK:
            spans[row["span"]] += row["n"]
        if row["route"] and row["outcome"] in (Came.OK, *_BAD):
            routes[row["route"]][row["outcome"] in _BAD] += row["n"]
    split = {route: (good, bad) for route, (good, bad) in routes.items()}
    return Hour(name, dict(outcomes), dict(codes), dict(spans), split)
