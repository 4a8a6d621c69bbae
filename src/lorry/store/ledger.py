"""The ledger in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from lorry.model.kept import Came, LedgerRow
from lorry.store.database import Database
from lorry.store.dialects import upsert_many
from lorry.store.tables import LEDGER


class StoredLedger:
    """`lorry.generation.ports.Ledger` over the table `ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write rows in one transaction; one with an id that is there replaces it."""
        if rows:
            async with self._database.writing() as connection:
                await connection.execute(*ledger_statement(self._database.dialect, rows))

    async def spent(self, since: datetime) -> list[dict[str, Any]]:
        """Sum the cents since a time, by `day`, `token`, `model` and `rehearsal`."""
        day = func.substr(LEDGER.c.at, 1, 10).label("day")
        columns = (day, LEDGER.c.token, LEDGER.c.model, LEDGER.c.rehearsal)
        query = (
            select(*columns, func.sum(LEDGER.c.cents).label("cents"))
            .where(LEDGER.c.at >= since.isoformat(), LEDGER.c.cents > 0)
            .group_by(*columns)
        )
        return await self._database.rows(query)

    async def settle(self, before: datetime) -> None:
        """Note of attempts that began before a time and never ended that nobody knows their outcome."""
        open_ = (LEDGER.c.outcome == Came.SENT) & (LEDGER.c.at < before.isoformat())
        await self._database.run(update(LEDGER).where(open_).values(outcome=str(Came.UNKNOWN)))

    async def rows(self, request: str) -> list[dict[str, Any]]:
        """Read the rows of a request."""
        return await self._database.rows(
            select(LEDGER).where(LEDGER.c.request == request).order_by(LEDGER.c.id)
        )

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """Read the newest rows."""
        return await self._database.rows(select(LEDGER).order_by(LEDGER.c.at.desc()).limit(limit))

    async def count(self) -> int:
        """Count the rows."""
        rows = await self._database.rows(select(func.count().label("rows")).select_from(LEDGER))
        return int(rows[0]["rows"])


def ledger_statement(dialect: str, rows: Sequence[LedgerRow]) -> tuple[Any, list[dict[str, Any]]]:
    """Give the statement that writes rows, and their values.

    Args:
        dialect: Name of the engine's dialect.
        rows: What to write.
    """
    values = [{**asdict(row), "at": row.at.isoformat(), "outcome": str(row.outcome)} for row in rows]
    return upsert_many(dialect, LEDGER), values
