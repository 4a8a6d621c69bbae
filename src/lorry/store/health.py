"""Outages and starts in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from lorry.store.database import Database, unbroken
from lorry.store.dialects import upsert
from lorry.store.tables import OUTAGES, STARTS

#: Rows of starts that are read: some 50 starts of four stages.
_NEWEST = 200


class StoredOutages:
    """`lorry.generation.ports.Outages` over the table `outages`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def held(self) -> Mapping[str, str]:
        """Read why, by place or account."""
        return {row["key"]: row["reason"] for row in await self._database.rows(select(OUTAGES))}

    async def hold(self, key: str, code: str, reason: str) -> None:
        """Note one."""
        values = {"key": key, "code": code, "reason": reason, "since": datetime.now(UTC).isoformat()}
        await self._database.run(upsert(self._database.dialect, OUTAGES, values, ["code", "reason"]))

    async def mended(self, keys: Collection[str]) -> None:
        """Forget some."""
        await self._database.run(delete(OUTAGES).where(OUTAGES.c.key.in_(list(keys))))


class StoredStarts:
    """`lorry.generation.ports.Starts` over the table `starts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @unbroken
    async def took(self, model: str, route: str, *, rehearsal: bool, stages: Mapping[str, float]) -> None:
        """Note a start: seconds by stage."""
        at = datetime.now(UTC).isoformat()
        rows = [
            {
                "model": model,
                "route": route,
                "rehearsal": rehearsal,
                "stage": stage,
                "seconds": seconds,
                "at": at,
            }
            for stage, seconds in stages.items()
        ]
        async with self._database.writing() as connection:
            await connection.execute(insert(STARTS), rows)

    async def known(self, route: str, *, rehearsal: bool) -> list[tuple[str, str, float]]:
        """Read model, stage and seconds of the newest starts of a route."""
        query = (
            select(STARTS.c.model, STARTS.c.stage, STARTS.c.seconds)
            .where(STARTS.c.route == route, STARTS.c.rehearsal == rehearsal)
            .order_by(STARTS.c.id.desc())
            .limit(_NEWEST)
        )
        return [(row["model"], row["stage"], row["seconds"]) for row in await self._database.rows(query)]
