"""What SQLite and Postgres say differently: engines, upserts, the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Table, event, func, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

#: Connections of a process; who needs one more waits for it as long as it takes. With some to spare for a
#: rush they would be opened and closed all the time.
_POOL: Mapping[str, Any] = {"pool_size": 10, "max_overflow": 0, "pool_timeout": None}


def sqlite_engine(file: Path) -> AsyncEngine:
    """Open an engine over a file: a write-ahead log, durable writes, and writers that wait for each other.

    Args:
        file: The database.
    """
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", **_POOL)

    @event.listens_for(engine.sync_engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        # FULL keeps an intent over a power loss; 4 ms a write is nothing here (stack study, 1.1 and 1.4).
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that turns writer can't wait for another writer in SQLite; taking the lock first can.
        mode = "DEFERRED" if connection.get_execution_options().get("reads") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def postgres_engine(address: str) -> AsyncEngine:
    """Open an engine over a Postgres database, with psycopg.

    Args:
        address: `postgresql://user:password@host:port/database`.
    """
    _, _, rest = address.partition("://")
    return create_async_engine(
        f"postgresql+psycopg://{rest}",
        **_POOL,
        pool_pre_ping=True,  # a connection that the server ended while nobody used it is made anew
        connect_args={"connect_timeout": 10, "application_name": "lorry"},
    )


def upsert(dialect: str, table: Table, values: Mapping[str, Any], changes: Sequence[str]) -> Any:
    """Write a row, or change some columns of the one that has its key.

    Args:
        dialect: Name of the engine's dialect.
        table: Where.
        values: Of all columns.
        changes: The columns that change in a row that is there.
    """
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).values(**values)
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(
        index_elements=keys, set_={name: statement.excluded[name] for name in changes}
    )


def upsert_many(dialect: str, table: Table) -> Any:
    """Write many rows at once; each replaces the one that has its key.

    Args:
        dialect: Name of the engine's dialect.
        table: Where; the values come with the execution.
    """
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table)
    keys = {column.name for column in table.primary_key}
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=changes)


def insert_if_missing(dialect: str, table: Table, values: Mapping[str, Any]) -> Any:
    """Write a row unless something unique in it is taken; it returns the key of a row that was written.

    Args:
        dialect: Name of the engine's dialect.
        table: Where.
        values: Of all columns.
    """
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)


def clock(dialect: str) -> ColumnElement[float]:
    """Give the database's own time, seconds since 1970: all processes measure leases by the same clock.

    Args:
        dialect: Name of the engine's dialect.
    """
    if dialect == "postgresql":
        return func.extract("epoch", func.clock_timestamp()).cast(Float)
    # `unixepoch('subsec')` would need SQLite 3.42; Debian 12 has 3.40.
    return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
