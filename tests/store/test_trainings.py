"""What a watch remembers: the same laws on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorry.store import Store, open_store
from lorry.store.trainings import StoredTrainings
from lorry.training.ports import Training, TrainingState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Store]:
    """Give each kind of database."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as opened:
        yield opened


async def test_trainings_come_back_as_they_were(store: Store) -> None:
    """Written again, one replaces what was known of it."""
    first = Training("/out/tok", "/out/tok.safetensors", "ab", TrainingState.SHIPPING, "tok", "It is.", NOW)
    await store.trainings.remember(first)
    again = replace(first, mark="cd", state=TrainingState.SHIPPED, message="It was.")
    await store.trainings.remember(again)
    other = replace(first, key="/out/日本", path="/out/日本.safetensors", model=None)
    await store.trainings.remember(other)
    assert await store.trainings.seen() == {again.key: again, other.key: other}


async def test_machines_of_one_database_have_folders_of_their_own(store: Store) -> None:
    """The same path on another machine is another training."""
    here, there = StoredTrainings(store.database, "one"), StoredTrainings(store.database, "two")
    training = Training(
        "/out/tok", "/out/tok.safetensors", "ab", TrainingState.SHIPPED, "tok", "It was.", NOW
    )
    await here.remember(training)
    assert await there.seen() == {}
    await there.remember(replace(training, model="tok-2"))
    assert await here.seen() == {training.key: training}
