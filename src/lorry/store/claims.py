"""Who runs which delivery, in the database: leases by its own clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from lorry.delivery.ports.claiming import Claim, Worker
from lorry.store.database import Database, unbroken
from lorry.store.dialects import clock, insert_if_missing, upsert
from lorry.store.tables import CLAIMS, WORKERS


class StoredClaims:
    """`lorry.delivery.ports.Claims` over the tables `workers` and `claims`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._dialect = database.dialect
        self._now = clock(self._dialect)

    async def enlist(self, worker: Worker, seconds: float) -> None:
        """Begin a worker's lease."""
        values = {
            "id": worker.id,
            "host": worker.host,
            "pid": worker.pid,
            "home": worker.home,
            "until": self._now + seconds,
        }
        await self.database.run(upsert(self._dialect, WORKERS, values, ["host", "pid", "home", "until"]))

    @unbroken
    async def renew(self, worker: str, seconds: float) -> dict[str, Claim] | None:
        """Extend a lease that has not ended; give what the worker holds."""
        extend = (
            update(WORKERS)
            .where(WORKERS.c.id == worker, WORKERS.c.until > self._now)
            .values(until=self._now + seconds)
        )
        held = self._claims().where(CLAIMS.c.worker == worker)
        async with self.database.writing() as connection:
            if not (await connection.execute(extend)).rowcount:
                return None
            return _by_model((await connection.execute(held)).mappings().all())

    async def leave(self, worker: str) -> None:
        """End a worker's lease, and let go of what it holds."""
        held = delete(CLAIMS).where(CLAIMS.c.worker == worker)
        await self.database.run(held, delete(WORKERS).where(WORKERS.c.id == worker))

    async def workers(self) -> dict[Worker, bool]:
        """List the workers, and whether each one's lease still runs."""
        alive = (WORKERS.c.until > self._now).label("alive")
        query = select(WORKERS.c.id, WORKERS.c.host, WORKERS.c.pid, WORKERS.c.home, alive).order_by(
            WORKERS.c.id
        )
        rows = await self.database.rows(query)
        return {Worker(row["id"], row["host"], row["pid"], row["home"]): bool(row["alive"]) for row in rows}

    @unbroken
    async def take(self, model: str, worker: str) -> bool:
        """Take a delivery that nobody living holds."""
        async with self.database.writing() as connection:
            return await connection.run_sync(self._take, model, worker)

    def _take(self, connection: Connection, model: str, worker: str) -> bool:
        alive = select(WORKERS.c.id).where(WORKERS.c.until > self._now)
        mine = connection.execute(alive.where(WORKERS.c.id == worker).with_for_update()).first()
        if mine is None:
            return False
        fresh = {"model": model, "worker": worker, "taken": 1, "asked": ""}
        if connection.execute(insert_if_missing(self._dialect, CLAIMS, fresh)).first() is not None:
            return True
        # The row stays locked until the end of the transaction: whoever comes now waits, and sees who won.
        held = select(CLAIMS).where(CLAIMS.c.model == model).with_for_update()
        row = connection.execute(held).mappings().first()
        if row is None:  # released between the two statements; the next attempt finds it free
            return False
        if row["worker"] == worker:
            return True
        if connection.execute(alive.where(WORKERS.c.id == row["worker"])).first() is not None:
            return False
        over = {"worker": worker, "taken": row["taken"] + 1, "asked": ""}
        connection.execute(update(CLAIMS).where(CLAIMS.c.model == model).values(**over))
        return True

    async def release(self, model: str, worker: str) -> None:
        """Let go of a delivery."""
        await self.database.run(delete(CLAIMS).where(CLAIMS.c.model == model, CLAIMS.c.worker == worker))

    async def settle(self, model: str, worker: str) -> None:
        """Note that a step was done."""
        held = and_(CLAIMS.c.model == model, CLAIMS.c.worker == worker)
        await self.database.run(update(CLAIMS).where(held).values(taken=1))

    async def ask(self, model: str, wish: str) -> None:
        """Ask whoever holds a delivery for something."""
        await self.database.run(update(CLAIMS).where(CLAIMS.c.model == model).values(asked=wish))

    async def claims(self) -> dict[str, Claim]:
        """List what is held, by model."""
        return _by_model(await self.database.rows(self._claims()))

    def _claims(self) -> Any:
        alive = select(WORKERS.c.id).where(WORKERS.c.until > self._now)
        return select(CLAIMS, CLAIMS.c.worker.in_(alive).label("alive")).order_by(CLAIMS.c.model)


def _by_model(rows: Any) -> dict[str, Claim]:
    return {
        row["model"]: Claim(row["model"], row["worker"], row["taken"], row["asked"], bool(row["alive"]))
        for row in rows
    }
