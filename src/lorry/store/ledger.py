"""The ledger in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Dialect, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lorry.model.kept import Came, LedgerRow
from lorry.store.database import Database, unbroken
from lorry.store.dialects import upsert_many
from lorry.store.tables import LEDGER


class StoredLedger:
    """`lorry.generation.ports.Ledger` over the table `ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @unbroken
    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write rows in one transaction; one with an id that is there replaces it."""
        if rows:
            async with self._database.writing() as connection:
                await write_ledger(connection, rows)

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
        return await self._database.rows(select(LEDGER).where(of_request(request)).order_by(LEDGER.c.id))

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """Read the newest rows."""
        return await self._database.rows(select(LEDGER).order_by(LEDGER.c.at.desc()).limit(limit))

    async def of_model(self, model: str, limit: int) -> list[dict[str, Any]]:
        """Read the newest rows of a model, newest first."""
        query = select(LEDGER).where(LEDGER.c.model == model).order_by(LEDGER.c.at.desc()).limit(limit)
        return await self._database.rows(query)

    async def count(self) -> int:
        """Count the rows."""
        rows = await self._database.rows(select(func.count().label("rows")).select_from(LEDGER))
        return int(rows[0]["rows"])


def of_request(request: str) -> Any:
    """Choose the rows of a request: their ids begin with its own, so the primary key finds them."""
    return LEDGER.c.id.between(request, request + "-99") & (LEDGER.c.request == request)


def ledger_values(row: LedgerRow) -> tuple[Any, ...]:
    """Give a row's values in the order of the table's columns.

    Field by field: `dataclasses.asdict` costs more than writing the row does.
    """
    return (
        row.id,
        row.request,
        row.at.isoformat(),
        row.token,
        row.owner,
        row.model,
        row.place,
        row.route,
        row.rehearsal,
        row.form,
        row.outcome.value,
        row.code,
        row.status,
        row.milliseconds,
        row.pictures,
        row.tokens_in,
        row.tokens_out,
        row.cents,
    )


_COLUMNS = [column.name for column in LEDGER.c]


async def write_ledger(connection: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
    """Write rows inside a transaction; one with an id that is there replaces it.

    The statement is compiled once and goes to the driver as it is: between the two, SQLAlchemy would look at
    each value of each row.

    Args:
        connection: With a transaction that writes.
        rows: What to write.
    """
    sql, named = _compiled(connection.dialect)
    values = map(ledger_values, rows)
    parameters: Any = [dict(zip(_COLUMNS, row, strict=True)) for row in values] if named else list(values)
    await connection.exec_driver_sql(sql, parameters)


@cache
def _compiled(dialect: Dialect) -> tuple[str, bool]:
    """Give the statement for a driver, and whether it takes its values by name."""
    compiled = upsert_many(dialect.name, LEDGER).compile(dialect=dialect, column_keys=_COLUMNS)
    return str(compiled), not compiled.positional
