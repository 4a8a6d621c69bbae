"""Numbers that take a while: told at once as they were, and read again while somebody asks."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from lorry.errors import DatabaseUnreachable, LorryError, Overloaded
from lorry.server.fresh import Fresh
from lorry.server.streams import Streams


class Reading:
    """A value that is read when a test says so."""

    def __init__(self) -> None:
        self.time, self.takes, self.reads = 0.0, 0.0, 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails: LorryError | None = None

    async def __call__(self) -> int:
        """Read it."""
        self.reads += 1
        await self.gate.wait()
        self.time += self.takes
        if self.fails:
            raise self.fails
        return self.reads

    def fresh(self, least: float = 5.0) -> Fresh[int]:
        """Give what reads it."""
        return Fresh(self, lambda: self.time, least)


async def test_it_is_read_again_when_it_is_old_and_told_meanwhile() -> None:
    """Within the least time nothing is read; after it, the old one is told at once and the new one next."""
    reading = Reading()
    fresh = reading.fresh()
    assert await fresh.value(1.0) == 1
    reading.time = 4.9
    assert (await fresh.value(1.0), reading.reads) == (1, 1)
    reading.time = 5.0
    assert await fresh.value(1.0) == 1
    await fresh.close()
    assert (await fresh.value(), fresh.version) == (2, 2)


async def test_many_who_ask_have_it_read_once() -> None:
    """While it is being read nobody reads it again; who can't wait is told that there is none yet."""
    reading = Reading()
    fresh = reading.fresh()
    reading.gate.clear()
    assert await fresh.value(0.0) is None
    asking = [asyncio.create_task(fresh.value(60.0)) for _ in range(20)]
    await asyncio.sleep(0)
    reading.gate.set()
    assert await asyncio.gather(*asking) == [1] * 20
    assert reading.reads == 1


async def test_what_takes_long_is_read_seldom() -> None:
    """It rests twenty times as long as it took."""
    reading = Reading()
    reading.takes = 2.0
    fresh = reading.fresh()
    await fresh.value(1.0)
    reading.time = 41.9
    assert (await fresh.value(1.0), reading.reads) == (1, 1)
    reading.time = 42.0
    await fresh.value(1.0)
    await fresh.close()
    assert reading.reads == 2


async def test_a_database_that_is_away_leaves_what_is_known() -> None:
    """An error is no value and no end; the next reading may do better."""
    reading = Reading()
    fresh = reading.fresh()
    await fresh.value(1.0)
    reading.fails = DatabaseUnreachable("It restarts.")
    await fresh.again(1.0)
    assert (await fresh.value(1.0), fresh.version) == (1, 1)
    reading.fails = None
    await fresh.again(1.0)
    assert await fresh.value() == 3


async def test_what_changed_is_read_even_while_the_old_is_being_read() -> None:
    """`again` gives what was read after it was called."""
    reading = Reading()
    fresh = reading.fresh()
    reading.gate.clear()
    await fresh.value(0.0)
    asked = asyncio.create_task(fresh.again(60.0))
    await asyncio.sleep(0)
    reading.gate.set()
    await asked
    assert await fresh.value() == 2


async def test_streams_are_limited_and_end_with_the_server() -> None:
    """One more than there may be is refused; whoever waits goes on at once, and hears that it is over."""
    streams = Streams()
    with ExitStack() as stack:
        for _ in range(500):
            streams.require_room()
            stack.enter_context(streams.one())
        with pytest.raises(Overloaded):
            streams.require_room()
    streams.require_room()
    with streams.one():
        waiting = asyncio.create_task(streams.pause(3600.0))
        await asyncio.sleep(0)
        streams.close()
        assert await waiting is False
