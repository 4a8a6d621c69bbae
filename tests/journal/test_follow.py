"""Following a journal gives every event once, in order, while it grows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from lorry.delivery.doubles import MemoryStore
from lorry.journal import follow
from lorry.model.events import Event

EVENT = Event("tok", "delivery", "upload", "progress", "", datetime(2026, 11, 23, tzinfo=UTC))


async def test_each_event_comes_once_as_it_is_written() -> None:
    """Events written between looks come at the next look; other models' never; none comes twice."""
    store = MemoryStore()
    rounds = iter([["b", "c"], [], ["d"]])
    await store.write(replace(EVENT, message="a"))

    async def wait() -> bool:
        batch = next(rounds, None)
        for message in batch or ():
            await store.write(replace(EVENT, message=message))
            await store.write(replace(EVENT, model="other"))
        return batch is not None

    assert [event.message async for event in follow(store, "tok", wait)] == ["a", "b", "c", "d"]


async def test_following_can_begin_later() -> None:
    """With `after`, earlier events are left out."""
    store = MemoryStore()
    for message in ("a", "b", "c"):
        await store.write(replace(EVENT, message=message))

    async def stop() -> bool:
        return False

    assert [event.message async for event in follow(store, "tok", stop, after=2)] == ["c"]
