"""Postgres instead of the file: its tables, what it says when it can't be used, events that none misses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from lorry.errors import DatabaseRefused, DatabaseUnreachable, StorageError
from lorry.model.events import Event
from lorry.store import Store, open_store
from lorry.store.dialects import postgres_engine
from lorry.store.tables import EVENTS
from tests.postgres import LOCKED, Server

AT = datetime(2026, 11, 25, tzinfo=UTC)


def event(message: str, model: str = "tok") -> Event:
    """Give an event."""
    return Event(model, "delivery", "upload", "state", message, AT, None, {})


async def test_the_migrations_end_in_the_declared_tables(home: Path, database: str) -> None:
    """A database made by the migrations differs in nothing from the tables that the code declares."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection

    from lorry.store.tables import METADATA

    def compare(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with open_store(home, database) as store, store.database.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_two_may_open_an_empty_database_at_once(home: Path, database: str) -> None:
    """Whoever comes second waits for the first one's tables instead of failing on them."""

    async def open_once() -> int:
        async with open_store(home, database) as store:
            return len(await store.models())

    assert await asyncio.gather(*(open_once() for _ in range(4))) == [0, 0, 0, 0]


async def test_who_follows_a_journal_misses_nothing(home: Path, database: str) -> None:
    """An event that is being written holds up the next of its model, so that ids are seen in order."""
    async with open_store(home, database) as store, open_store(home, database) as other:
        await store.write(event("one"))
        async with _writing(store, event("slow")) as slow:
            quick = asyncio.create_task(other.write(event("quick")))
            await other.write(event("of another model", "else"))
            assert [each.message for each in await other.read("tok")] == ["one"]
            assert not quick.done()
            await slow.commit()
        await quick
        told = await other.read("tok")
    assert [each.message for each in told] == ["one", "slow", "quick"]
    assert [each.id for each in told] == sorted(each.id for each in told)


class _Writing:
    """A process in the middle of writing an event, as `StoredJournal.write` does it."""

    def __init__(self, engine: AsyncEngine, said: Event) -> None:
        self._engine, self._said = engine, said

    async def __aenter__(self) -> _Writing:
        from dataclasses import asdict

        from sqlalchemy import func

        self._connection = await self._engine.connect()
        lock = func.pg_advisory_xact_lock(func.hashtext(self._said.model))
        await self._connection.execute(select(lock))
        values = {**asdict(self._said), "at": self._said.at.isoformat()}
        del values["id"]
        await self._connection.execute(insert(EVENTS).values(**values))
        return self

    async def commit(self) -> None:
        """End the transaction."""
        await self._connection.commit()

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


def _writing(store: Store, said: Event) -> _Writing:
    return _Writing(store.database.engine, said)


async def test_a_server_that_does_not_answer_is_named(home: Path) -> None:
    """With its address, without the password in it, and with what to do."""
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:9/lorry does not answer") as caught:
        async with open_store(home, "postgresql://me:hush-hush@127.0.0.1:9/lorry"):
            pass
    assert "LORRY_DATABASE_URL" in caught.value.fix
    assert "hush" not in repr(caught.value.as_dict())


async def test_a_wrong_password_is_told_as_such(home: Path, postgres: Server, database: str) -> None:
    """And never shown; the right one opens."""
    place = database.rpartition("/")[2]
    user, password = LOCKED
    with pytest.raises(DatabaseRefused, match="refuses the login") as caught:
        async with open_store(home, f"postgresql://{user}:wrong-one@127.0.0.1:{postgres.port}/{place}"):
            pass
    assert "wrong-one" not in repr(caught.value.as_dict())
    postgres.run(f"GRANT ALL ON DATABASE {place} TO {user}")
    engine = postgres_engine(f"postgresql://{user}:{password}@127.0.0.1:{postgres.port}/{place}")
    async with engine.connect() as connection:
        assert (await connection.execute(select(1))).scalar() == 1
    await engine.dispose()


async def test_a_database_that_is_not_there_is_told_as_such(home: Path, postgres: Server) -> None:
    """By its name."""
    with pytest.raises(DatabaseRefused, match="/nowhere does not exist"):
        async with open_store(home, postgres.address("nowhere")):
            pass


async def test_a_server_that_goes_away_is_an_error_and_its_return_is_noticed(
    home: Path, postgres: Server, database: str
) -> None:
    """Connections that the server ended are made anew; nothing of that reaches the caller."""
    place = database.rpartition("/")[2]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{place}'"  # noqa: S608
    async with open_store(home, database) as store:
        await store.write(event("before"))
        await asyncio.to_thread(postgres.run, ended)
        await store.write(event("after"))
        assert [each.message for each in await store.read("tok")] == ["before", "after"]


async def test_an_odd_fault_keeps_its_words(home: Path, database: str) -> None:
    """What has no sentence of its own is told in the server's."""
    async with open_store(home, database) as store:
        with pytest.raises(StorageError, match="can't be used"):
            await store.write(event("x", "n" * 50))
