"""Turns at an address: never too many at once or in any time, in order, and a rest that all keep."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.platforms.together.turns import LONGEST_REST, Limits, Turns, turns_of


class Call:
    """Something that will be called, until it is called off."""

    def __init__(self, at: float, callback: Callable[[], object]) -> None:
        self.at = at
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Have it not called."""
        self.callback = None


class HandClock:
    """A clock that moves when it is told to, and calls on the way what is due."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._calls: list[tuple[float, int, Call]] = []
        self._order = count()

    def time(self) -> float:
        """Give the time."""
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Call:
        """Call something later."""
        call = Call(self.now + delay, callback)
        heapq.heappush(self._calls, (call.at, next(self._order), call))
        return call

    async def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        await settled()
        while self._calls and self._calls[0][0] <= end:
            at, _, call = heapq.heappop(self._calls)
            self.now = max(self.now, at)
            if call.callback is not None:
                call.callback()
            await settled()
        self.now = end


async def settled() -> None:
    """Let all that can run now run."""
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Those who wait for turns, and when each began."""

    def __init__(self, limits: Limits) -> None:
        self.clock = HandClock()
        self.turns = Turns(limits, self.clock)
        self.began: list[tuple[int, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, how_many: int = 1) -> None:
        """Have more of them come."""
        for _ in range(how_many):
            self.tasks.append(asyncio.create_task(self._wait(len(self.tasks))))

    async def _wait(self, number: int) -> None:
        await self.turns.take()
        self.began.append((number, self.clock.now))

    @property
    def times(self) -> list[float]:
        """When they began, seconds since the start."""
        return [round(at - 1000.0, 6) for _, at in self.began]

    async def leave(self) -> None:
        """End those who still wait."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_no_more_at_once_than_allowed() -> None:
    """Who comes when all places are taken goes when one is given back, and not before."""
    crowd = Crowd(Limits(at_once=3, per_second=1000, burst=1000))
    crowd.come(5)
    await crowd.clock.pass_by(60)
    assert [number for number, _ in crowd.began] == [0, 1, 2]
    crowd.turns.give_back()
    await settled()
    assert [number for number, _ in crowd.began] == [0, 1, 2, 3]
    assert crowd.turns.inside == 3
    await crowd.leave()


async def test_after_the_burst_one_by_one() -> None:
    """The burst goes at once, the others evenly; after a silence a whole burst may go again, and no more."""
    crowd = Crowd(Limits(at_once=100, per_second=10, burst=3))
    crowd.come(5)
    await crowd.clock.pass_by(0.5)
    assert crowd.times == [0, 0, 0, 0.1, 0.2]
    await crowd.clock.pass_by(3600)
    crowd.come(4)
    await crowd.clock.pass_by(1)
    assert crowd.times[5:] == [3600.5, 3600.5, 3600.5, 3600.6]


async def test_first_come_first_served() -> None:
    """The order of coming is the order of going, whatever made them wait."""
    crowd = Crowd(Limits(at_once=2, per_second=5, burst=1))
    crowd.come(4)
    await crowd.clock.pass_by(0.1)
    crowd.come(4)
    for _ in range(8):
        await crowd.clock.pass_by(0.3)
        crowd.turns.give_back()
    await crowd.clock.pass_by(1)
    assert [number for number, _ in crowd.began] == list(range(8))


async def test_who_is_called_off_keeps_no_place() -> None:
    """Called off while waiting, or just let in: those behind go as if he had never come."""
    crowd = Crowd(Limits(at_once=1, per_second=1000, burst=1000))
    crowd.come(4)
    await settled()
    crowd.tasks[1].cancel()
    await settled()
    crowd.turns.give_back()  # number 2 is let in,
    crowd.tasks[2].cancel()  # and called off before it could go
    await settled()
    assert [number for number, _ in crowd.began] == [0, 3]
    crowd.turns.give_back()
    assert crowd.turns.inside == 0
    assert crowd.tasks[2].cancelled()


async def test_a_rest_is_kept_by_all() -> None:
    """While the platform wants to be left alone nobody begins; then they begin one by one."""
    crowd = Crowd(Limits(at_once=100, per_second=10, burst=5))
    crowd.come(1)
    await settled()
    crowd.turns.rest(30)
    crowd.come(3)
    await crowd.clock.pass_by(29.9)
    assert crowd.times == [0]
    await crowd.clock.pass_by(1)
    assert crowd.times == [0, 30, 30.1, 30.2]


async def test_who_waits_already_keeps_the_rest_too() -> None:
    """A rest that is asked for while others wait for the rate holds for them."""
    crowd = Crowd(Limits(at_once=100, per_second=1, burst=1))
    crowd.come(3)
    await settled()
    crowd.turns.rest(10)
    await crowd.clock.pass_by(12)
    assert crowd.times == [0, 10, 11]


async def test_a_rest_is_never_shortened_and_never_endless() -> None:
    """The longer of two rests counts, and one of a day is kept for a minute: then one request asks again."""
    crowd = Crowd(Limits(at_once=100, per_second=10, burst=5))
    crowd.turns.rest(20)
    crowd.turns.rest(1)
    crowd.come(1)
    await crowd.clock.pass_by(25)
    assert crowd.times == [20]
    crowd.turns.rest(86_400)
    crowd.come(1)
    await crowd.clock.pass_by(LONGEST_REST)
    assert crowd.times == [20, 25 + LONGEST_REST]


async def test_no_rest_is_none() -> None:
    """An answer that asks for nothing keeps nobody waiting."""
    crowd = Crowd(Limits(at_once=100, per_second=10, burst=5))
    crowd.turns.rest(0)
    crowd.come(1)
    await settled()
    assert crowd.times == [0]


@given(
    st.integers(1, 4),
    st.floats(0.5, 50),
    st.integers(1, 6),
    st.lists(
        st.tuples(st.sampled_from(["come", "give", "pass", "call-off", "rest"]), st.floats(0, 2)),
        max_size=40,
    ),
)
def test_the_limits_hold_whatever_happens(
    at_once: int, per_second: float, burst: int, doings: list[tuple[str, float]]
) -> None:
    """Never more at once than allowed, nor more than burst + rate x time in any time; nobody is lost."""
    asyncio.run(_live(Limits(at_once, per_second, burst), doings))


async def _live(limits: Limits, doings: list[tuple[str, float]]) -> None:
    crowd = Crowd(limits)
    for doing, amount in doings:
        await _do(crowd, doing, amount)
        assert 0 <= crowd.turns.inside <= limits.at_once
    for _ in crowd.tasks:  # all who were not called off get their turn
        await crowd.clock.pass_by(10)
        if crowd.turns.inside:
            crowd.turns.give_back()
    await crowd.clock.pass_by(1000)
    began = {number for number, _ in crowd.began}
    assert began == {number for number, task in enumerate(crowd.tasks) if not task.cancelled()}
    assert [number for number, _ in crowd.began] == sorted(began)
    times = [at for _, at in crowd.began]
    for first, since in enumerate(times):
        for last in range(first, len(times)):
            allowed = limits.burst + limits.per_second * (times[last] - since)
            assert last - first + 1 <= allowed + 1e-6


async def _do(crowd: Crowd, doing: str, amount: float) -> None:
    if doing == "come":
        crowd.come()
    elif doing == "give" and crowd.turns.inside:
        crowd.turns.give_back()
    elif doing == "pass":
        await crowd.clock.pass_by(amount)
    elif doing == "rest":
        crowd.turns.rest(amount)
    elif doing == "call-off" and crowd.tasks:
        crowd.tasks[int(amount * 1000) % len(crowd.tasks)].cancel()
    await settled()


async def test_an_address_and_a_key_have_turns_of_their_own() -> None:
    """Connections to one address with one key share; another address or key is not held up."""
    limits = Limits(at_once=1)
    one = turns_of("https://one.example", "key", limits)
    assert turns_of("https://one.example", "key", Limits(at_once=9)) is one
    others = [turns_of("https://other.example", "key", limits), turns_of("https://one.example", "k2", limits)]
    await one.take()
    for other in others:
        await other.take()
        assert other.inside == 1


@pytest.mark.parametrize("key", ["a key that nobody else uses"])
async def test_nothing_is_kept_when_nobody_is_connected(key: str) -> None:
    """The turns of an address are gone with the last of its connections, with what they held."""
    turns = turns_of("https://one.example", key, Limits(at_once=1))
    await turns.take()
    del turns
    assert turns_of("https://one.example", key, Limits(at_once=1)).inside == 0
