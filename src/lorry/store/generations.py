"""Kept requests and the queue in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from lorry.model.kept import Came, Generated, Hook, LedgerRow, State
from lorry.store.database import Database, unbroken
from lorry.store.dialects import clock, insert_if_missing
from lorry.store.ledger import of_request, write_ledger
from lorry.store.tables import GENERATIONS, LEDGER
from lorry.store.webhooks import hook_statement

_ROW = GENERATIONS.c


class StoredGenerations:
    """`lorry.generation.ports.Kept` over the table `generations`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = clock(database.dialect)

    @unbroken
    async def begin(
        self,
        row: Generated,
        seconds: float = 0.0,
        *,
        ledger: Sequence[LedgerRow] = (),
        hook: Hook | None = None,
    ) -> Generated | None:
        """Write a new one; give the one that has its owner and key already, and write nothing then.

        Args:
            row: The new one.
            seconds: For how long its worker holds it before it counts as gone.
            ledger: What it cost, of one that has ended already.
            hook: Whom to tell.
        """
        values = {
            **asdict(row),
            "owner": row.owner or "",
            "state": str(row.state),
            "until": self._now + seconds,
            **{name: _text(getattr(row, name)) for name in ("created_at", "started_at", "ended_at")},
        }
        async with self._database.writing() as connection:
            done = await connection.execute(insert_if_missing(self._database.dialect, GENERATIONS, values))
            if done.first() is not None or row.key is None:
                if ledger:
                    await write_ledger(connection, ledger)
                if hook is not None:
                    await connection.execute(hook_statement(self._database.dialect, hook))
                return None
        return await self.with_key(row.owner, row.key)

    async def find(self, id: str) -> Generated | None:  # noqa: A002
        """Read one by its id."""
        return await self._one(select(GENERATIONS).where(_ROW.id == id))

    async def with_key(self, owner: str | None, key: str) -> Generated | None:
        """Read one by its owner and key."""
        return await self._one(select(GENERATIONS).where(_ROW.owner == (owner or ""), _ROW.key == key))

    @unbroken
    async def end(
        self,
        id: str,  # noqa: A002
        state: State,
        at: datetime,
        *,
        answer: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        ledger: Sequence[LedgerRow] = (),
        hook: Hook | None = None,
    ) -> None:
        """Note the end of one, with what it cost and whom to tell, in one transaction."""
        values = {
            "state": str(state),
            "ended_at": at.isoformat(),
            "until": None,
            "answer": dict(answer) if answer is not None else None,
            "error": dict(error) if error is not None else None,
        }
        async with self._database.writing() as connection:
            await connection.execute(update(GENERATIONS).where(_ROW.id == id).values(**values))
            if ledger:
                await write_ledger(connection, ledger)
            if hook is not None:
                await connection.execute(hook_statement(self._database.dialect, hook))

    async def drop(self, id: str) -> None:  # noqa: A002
        """Forget one that came to nothing, so that its key is free again."""
        await self._database.run(delete(GENERATIONS).where(_ROW.id == id))

    async def note(self, id: str, note: Mapping[str, Any]) -> None:  # noqa: A002
        """Note the progress of one."""
        await self._database.run(update(GENERATIONS).where(_ROW.id == id).values(note=dict(note)))

    async def waiting(self, limit: int) -> list[Generated]:
        """Read what waits in the queue, oldest first."""
        waiting = select(GENERATIONS).where(_ROW.state == State.WAITING, _ROW.queued)
        return await self._many(waiting.order_by(_ROW.created_at, _ROW.id).limit(limit))

    async def running(self) -> list[tuple[str | None, str]]:
        """List owner and model of what the queue is carrying out, in all processes."""
        rows = await self._database.rows(
            select(_ROW.owner, _ROW.model).where(_ROW.state == State.RUNNING, _ROW.queued)
        )
        return [(row["owner"] or None, row["model"]) for row in rows]

    async def claim(self, id: str, worker: str, seconds: float, at: datetime) -> bool:  # noqa: A002
        """Begin one that waits, for so long; say whether nobody else had."""
        values = {
            "state": str(State.RUNNING),
            "worker": worker,
            "until": self._now + seconds,
            "started_at": at.isoformat(),
        }
        return await self._changed(
            update(GENERATIONS).where(_ROW.id == id, _ROW.state == State.WAITING).values(**values)
        )

    async def renew(self, worker: str, seconds: float) -> None:
        """Hold on to what a worker has begun."""
        mine = (_ROW.worker == worker) & (_ROW.state == State.RUNNING)
        await self._database.run(update(GENERATIONS).where(mine).values(until=self._now + seconds))

    async def lost(self) -> list[Generated]:
        """List what was begun by workers that are gone."""
        gone = (_ROW.state == State.RUNNING) & (_ROW.until <= self._now)
        return await self._many(select(GENERATIONS).where(gone).limit(1000))

    async def was_sent(self, id: str) -> bool:  # noqa: A002
        """Say whether the ledger has it as sent to a place that bills, without an end."""
        sent = select(LEDGER.c.id).where(of_request(id), LEDGER.c.outcome == Came.SENT).limit(1)
        return bool(await self._database.rows(sent))

    async def requeue(self, id: str) -> None:  # noqa: A002
        """Put one back into the queue, of which nothing was sent."""
        begun = (_ROW.id == id) & (_ROW.state == State.RUNNING)
        await self._database.run(
            update(GENERATIONS).where(begun).values(state=str(State.WAITING), worker=None, until=None)
        )

    async def cancel(self, id: str, at: datetime) -> bool:  # noqa: A002
        """End one that waits; say whether it still waited."""
        values = {"state": str(State.CANCELED), "ended_at": at.isoformat()}
        return await self._changed(
            update(GENERATIONS).where(_ROW.id == id, _ROW.state == State.WAITING).values(**values)
        )

    async def listed(
        self, owner: str | None, *, everybody: bool, limit: int, key: str | None = None
    ) -> list[Generated]:
        """Read the newest of an owner, or of everybody; where a key is given, those that begin so."""
        query = select(GENERATIONS).order_by(_ROW.created_at.desc(), _ROW.id).limit(limit)
        if key is not None:
            query = query.where(self._begins(key))
        return await self._many(query if everybody else query.where(_ROW.owner == (owner or "")))

    def _begins(self, key: str) -> Any:
        """Choose keys that begin so: in SQLite by their order, which is that of bytes and has an index."""
        if self._database.dialect == "sqlite":
            return _ROW.key.between(key, key + "\U0010ffff")
        return _ROW.key.startswith(key, autoescape=True)

    async def counts(self) -> dict[str, int]:
        """Count what is in the queue, by state."""
        query = (
            select(_ROW.state, func.count().label("rows"))
            .where(_ROW.queued, _ROW.state.in_((str(State.WAITING), str(State.RUNNING))))
            .group_by(_ROW.state)
        )
        return {row["state"]: row["rows"] for row in await self._database.rows(query)}

    @unbroken
    async def forget(self, before: datetime) -> int:
        """Forget what ended before a time; say how many."""
        async with self._database.writing() as connection:
            gone = delete(GENERATIONS).where(_ROW.ended_at < before.isoformat())
            return (await connection.execute(gone)).rowcount

    @unbroken
    async def _changed(self, statement: Any) -> bool:
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def _one(self, query: Any) -> Generated | None:
        found = await self._many(query)
        return found[0] if found else None

    async def _many(self, query: Any) -> list[Generated]:
        return [_generated(row) for row in await self._database.rows(query)]


def _generated(row: Mapping[str, Any]) -> Generated:
    read = {name: value for name, value in row.items() if name != "until"}
    for name in ("created_at", "started_at", "ended_at"):
        read[name] = datetime.fromisoformat(read[name]) if read[name] else None
    return Generated(**{**read, "owner": row["owner"] or None, "state": State(row["state"])})


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
