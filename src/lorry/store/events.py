"""The journal in the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, or_, select

from lorry.model.events import Event
from lorry.store.database import Database, unbroken
from lorry.store.tables import EVENTS

#: Entries that `read_steps` goes back: some 500 deliveries, which are read in a few hundredths of a second.
_NEWEST = 10_000


class StoredJournal:
    """`lorry.delivery.ports.Journal` over the table `events`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def write(self, event: Event) -> None:
        """Append an event durably: it is on the disk when this returns."""
        values = {**asdict(event), "at": event.at.isoformat()}
        del values["id"]
        statements: list[Any] = [insert(EVENTS).values(**values)]
        if self.database.dialect == "postgresql":
            # Ids are given in the order of writing and seen in that of committing: one writer of a model at
            # a time, so that who follows it by id misses none.
            statements.insert(0, select(func.pg_advisory_xact_lock(func.hashtext(event.model))))
        await self.database.run(*statements)

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""
        query = select(EVENTS).where(EVENTS.c.model == model, EVENTS.c.id > after).order_by(EVENTS.c.id)
        return await self._events(query)

    async def forget_events(self, before: datetime) -> None:
        """Forget what happened before a time."""
        await self.database.run(delete(EVENTS).where(EVENTS.c.at < before.isoformat()))

    async def read_steps(self) -> tuple[Event, ...]:
        """Read what began, adopted, ended and resumed steps of all models, oldest first; the newest of it."""
        tells = or_(
            EVENTS.c.action.in_(("started", "adopted", "done", "failed")), EVENTS.c.subject == "resume"
        )
        query = select(EVENTS).where(tells).order_by(EVENTS.c.id.desc()).limit(_NEWEST)
        return (await self._events(query))[::-1]

    @unbroken
    async def step_totals(self) -> list[tuple[str, str, int, float]]:
        """Count what became of the steps of all deliveries: step, outcome, how often, seconds in all."""
        outcome = EVENTS.c.action.in_(("done", "failed"))
        query = (
            select(EVENTS.c.subject, EVENTS.c.action, func.count().label("n"), func.sum(EVENTS.c.seconds))
            .where(EVENTS.c.source == "delivery", outcome)
            .group_by(EVENTS.c.subject, EVENTS.c.action)
        )
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [(step, action, count, float(seconds or 0.0)) for step, action, count, seconds in rows]

    async def _events(self, query: Select[Any]) -> tuple[Event, ...]:
        rows = await self.database.rows(query)
        return tuple(Event(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in rows)
