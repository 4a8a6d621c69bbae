"""Opening the database: the engine, its settings, and the way to the newest tables."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lorry.errors import DiskFull, NotWritable
from lorry.store.events import StoredJournal
from lorry.store.faults import translated
from lorry.store.intents import StoredIntents
from lorry.store.migrations import HEAD, upgrade
from lorry.store.records import StoredRecords
from lorry.store.shipped import STORE_FILE


class Store(StoredRecords, StoredJournal, StoredIntents):
    """The ports Records, Journal and Intents of one home, over one database."""


@asynccontextmanager
async def open_store(home: Path) -> AsyncIterator[Store]:
    """Open the store of a home, creating the folder and the tables when they are missing.

    Args:
        home: Folder of Lorry's own state.

    Yields:
        The store, usable until the block ends.

    Raises:
        StorageError: The folder or the file can't be used.
    """
    file = home / STORE_FILE
    await asyncio.to_thread(_make, home)
    with translated(file):
        await asyncio.to_thread(_probe, file)
    engine = _engine(file)
    try:
        with translated(file):
            await _bring_up_to_date(engine)
        yield Store(engine, file)
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


def _engine(file: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")

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


async def _bring_up_to_date(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(reads=True)
        if await connection.run_sync(_is_head):
            return
    async with engine.begin() as connection:
        if not await connection.run_sync(_is_head):  # another process may have been quicker
            await connection.run_sync(upgrade)


def _is_head(connection: Connection) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.execute(text("select version_num from alembic_version")).scalar() == HEAD
