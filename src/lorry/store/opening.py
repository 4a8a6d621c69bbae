"""Opening the database, SQLite or Postgres, and the way to the newest tables."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from lorry.errors import DiskFull, NotWritable, StorageError
from lorry.redaction import shown
from lorry.store.access import StoredAccess
from lorry.store.claims import StoredClaims
from lorry.store.database import Database
from lorry.store.dialects import postgres_engine, sqlite_engine
from lorry.store.events import StoredJournal
from lorry.store.faults import translated
from lorry.store.figures import StoredFigures
from lorry.store.generations import StoredGenerations
from lorry.store.health import StoredOutages, StoredStarts
from lorry.store.intents import StoredIntents
from lorry.store.ledger import StoredLedger
from lorry.store.migrations import HEAD, REVISIONS, upgrade
from lorry.store.records import StoredRecords
from lorry.store.shipped import STORE_FILE
from lorry.store.spending import StoredBooks
from lorry.store.trainings import StoredTrainings
from lorry.store.webhooks import StoredHooks

#: Names the lock under which one process at a time brings the tables of a Postgres database up to date.
_ONE_UPGRADE = 0x4C6F727279  # "Lorry"


class Store(StoredRecords, StoredJournal, StoredIntents, StoredAccess):
    """All ports over one database.

    Itself it is Records, Journal, Intents and Directory; each other port is an attribute.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.claiming = StoredClaims(database)
        self.ledger = StoredLedger(database)
        self.figures = StoredFigures(database)
        self.kept = StoredGenerations(database)
        self.hooks = StoredHooks(database)
        self.outages = StoredOutages(database)
        self.starts = StoredStarts(database)
        self.books = StoredBooks(self)
        self.trainings = StoredTrainings(database)


@asynccontextmanager
async def open_store(home: Path, database: str | None = None) -> AsyncIterator[Store]:
    """Open the store of a home, creating the folder and the tables when they are missing.

    Args:
        home: Folder of Lorry's own state.
        database: Address of a Postgres database; SQLite in the home when `None`.

    Yields:
        The store, usable until the block ends.

    Raises:
        StorageError: The folder, the file or the database can't be used.
    """
    await asyncio.to_thread(_make, home)
    where: str | Path = shown(database) if database else home / STORE_FILE
    if database:
        engine = postgres_engine(database)
    else:
        with translated(where):
            await asyncio.to_thread(_probe, home / STORE_FILE)
        engine = sqlite_engine(home / STORE_FILE)
    try:
        with translated(where):
            await _bring_up_to_date(engine, where)
        yield Store(Database(engine, where))
    finally:
        await engine.dispose()


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else NotWritable
        raise kind(
            f"The folder {home} can't be made: {error.strerror}.", evidence={"folder": str(home)}
        ) from error


def _probe(file: Path) -> None:
    """Open the file once by itself: a connection that fails inside aiosqlite leaves its thread behind.

    The first switch to WAL is answered "database is locked" at once when another connection makes it too:
    the busy timeout does not cover it. So one at a time, by a lock on the folder that dies with its holder.
    """
    folder = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        connection = sqlite3.connect(file, timeout=30)
        try:
            connection.execute("pragma journal_mode=wal")
        finally:
            connection.close()
    finally:
        os.close(folder)


async def _bring_up_to_date(engine: AsyncEngine, where: str | Path) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(reads=True)
        if await connection.run_sync(_revision) == HEAD:
            return
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's transaction holds the lock of the whole file
            await connection.execute(select(func.pg_advisory_xact_lock(_ONE_UPGRADE)))
        found = await connection.run_sync(_revision)
        if found not in (None, *REVISIONS):
            raise StorageError(
                f"{where} was written by a newer Lorry: its tables are at {found}, this one knows {HEAD}.",
                fix="Install the newer version again, or choose another home or database.",
                evidence={"database": str(where), "found": found, "known": list(REVISIONS)},
            )
        if found != HEAD:  # another process may have been quicker
            await connection.run_sync(upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("select version_num from alembic_version")).scalar()
    return str(found) if found else None
