"""Leases on deliveries: the same laws in memory, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lorry.delivery.doubles import MemoryClaims
from lorry.delivery.ports import Claim, Claims, Worker
from lorry.store import open_store

#: Longer than any test; a lease of no seconds has ended when it begins.
LONG, OVER = 3600.0, 0.0


def worker(name: str) -> Worker:
    """Give a worker."""
    return Worker(name, "machine", 4711, "home")


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def claims(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Claims]:
    """Give each implementation of the port."""
    if request.param == "memory":
        yield MemoryClaims()
        return
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as store:
        yield store.claiming


async def test_a_delivery_has_one_holder(claims: Claims) -> None:
    """What one holds another does not get; its holder may take it again, and a release frees it."""
    await claims.enlist(worker("a"), LONG)
    await claims.enlist(worker("b"), LONG)
    assert await claims.take("tok", "a")
    assert await claims.take("tok", "a")
    assert not await claims.take("tok", "b")
    await claims.release("tok", "b")
    assert not await claims.take("tok", "b")
    await claims.release("tok", "a")
    assert await claims.take("tok", "b")
    assert await claims.claims() == {"tok": Claim("tok", "b", 1, "", alive=True)}


async def test_what_the_dead_held_can_be_taken(claims: Claims) -> None:
    """Its takeovers are counted until a step is done; whoever lost its lease takes nothing."""
    for name, seconds in (("a", LONG), ("b", LONG)):
        await claims.enlist(worker(name), seconds)
    assert await claims.take("tok", "a")
    await claims.enlist(worker("a"), OVER)
    assert (await claims.claims())["tok"].alive is False
    assert not await claims.take("other", "a")
    assert await claims.take("tok", "b")
    assert (await claims.claims())["tok"] == Claim("tok", "b", 2, "", alive=True)
    await claims.settle("tok", "a")
    assert (await claims.claims())["tok"].taken == 2
    await claims.settle("tok", "b")
    assert (await claims.claims())["tok"].taken == 1


async def test_a_lease_that_ended_is_not_renewed(claims: Claims) -> None:
    """Its owner learns that; a new lease gives back what nobody took meanwhile."""
    await claims.enlist(worker("a"), LONG)
    await claims.take("tok", "a")
    held = await claims.renew("a", LONG)
    assert held is not None
    assert list(held) == ["tok"]
    assert await claims.renew("a", OVER) is not None
    assert await claims.renew("a", LONG) is None
    assert await claims.renew("nobody", LONG) is None
    await claims.enlist(worker("a"), LONG)
    assert await claims.take("tok", "a")
    assert (await claims.claims())["tok"].taken == 1


async def test_a_wish_reaches_the_holder(claims: Claims) -> None:
    """It reads it at its next renewal; who takes over later is asked for nothing."""
    await claims.enlist(worker("a"), LONG)
    await claims.enlist(worker("b"), LONG)
    await claims.ask("tok", "let go")
    await claims.take("tok", "a")
    held = await claims.renew("a", LONG)
    assert held is not None
    assert held["tok"].asked == ""
    await claims.ask("tok", "let go")
    held = await claims.renew("a", LONG)
    assert held is not None
    assert held["tok"].asked == "let go"
    await claims.enlist(worker("a"), OVER)
    await claims.take("tok", "b")
    assert (await claims.claims())["tok"].asked == ""


async def test_leaving_lets_go_of_everything(claims: Claims) -> None:
    """A worker that ends in order is on no list and holds nothing; leaving twice is fine."""
    await claims.enlist(worker("a"), LONG)
    await claims.enlist(worker("b"), OVER)
    await claims.take("one", "a")
    await claims.take("two", "a")
    assert await claims.workers() == {worker("a"): True, worker("b"): False}
    await claims.leave("a")
    await claims.leave("a")
    assert await claims.claims() == {}
    assert await claims.workers() == {worker("b"): False}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_of_many_at_once_one_gets_it(kind: str, request: pytest.FixtureRequest, home: Path) -> None:
    """Over connections of their own, free or left by the dead: one of twelve takers wins, each time."""
    database = request.getfixturevalue("database") if kind == "postgres" else None
    names = [f"w{number}" for number in range(12)]
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_store(home, database)) for _ in range(4)]
        desks = [stores[number % 4].claiming for number in range(12)]
        await desks[0].enlist(worker("dead"), LONG)
        for model in range(0, 10, 2):
            await desks[0].take(f"m{model}", "dead")
        await desks[0].enlist(worker("dead"), OVER)
        for desk, name in zip(desks, names, strict=True):
            await desk.enlist(worker(name), LONG)
        for model in range(10):
            took = await asyncio.gather(
                *(desk.take(f"m{model}", name) for desk, name in zip(desks, names, strict=True))
            )
            assert took.count(True) == 1
            assert (await desks[0].claims())[f"m{model}"].worker == names[took.index(True)]
