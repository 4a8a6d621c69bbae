"""A process' lease and what it holds: never with others at once, lost with the lease, kept if nobody came."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lorry.delivery.custody import Custody
from lorry.delivery.doubles import MemoryClaims
from tests.delivery.others import other_holds

#: So long that the loop which renews a lease does nothing while a test runs.
LONG = 3600.0


class Bench:
    """A process in custody of deliveries."""

    def __init__(self, home: Path) -> None:
        self.claims = MemoryClaims()
        self.home = home
        self.dropped: list[str] = []
        self.custody = self.another()

    def another(self) -> Custody:
        """Give another process of the same home."""
        return Custody(self.claims, self.home, LONG, LONG, self.dropped.append)


@pytest.fixture
def bench(home: Path) -> Bench:
    """Give a process that is not in yet."""
    return Bench(home)


async def test_a_delivery_has_one_holder(bench: Bench) -> None:
    """What one holds another can't take, until it is released; taking one's own again is fine."""
    other = bench.another()
    async with bench.custody, other:
        assert await bench.custody.take("tok")
        assert await bench.custody.take("tok")
        assert not await other.take("tok")
        held = await other.holder("tok")
        assert held is not None
        assert held[0].worker == bench.custody.id
        await bench.custody.release("tok")
        assert await other.take("tok")
        assert not await bench.custody.take("tok")


async def test_leaving_releases(bench: Bench) -> None:
    """A process that ends in order holds nothing any more, and is on no list."""
    async with bench.custody:
        await bench.custody.take("tok")
    assert await bench.claims.claims() == {}
    assert await bench.claims.workers() == {}
    assert not list((bench.home / "workers").glob(f"{bench.custody.id}*"))


async def test_a_dead_process_of_this_home_is_known_at_once(bench: Bench) -> None:
    """Its file is locked by nobody: its lease ends without waiting, and what it held can be taken."""
    async with bench.custody:
        (me,) = await bench.claims.workers()
        dead = type(me)("dead", me.host, 999_999, me.home)
        await bench.claims.enlist(dead, LONG)
        assert await bench.claims.take("tok", "dead")
        assert await bench.custody.take("tok")
        claims = await bench.claims.claims()
        assert (claims["tok"].worker, claims["tok"].taken) == (bench.custody.id, 2)


async def test_a_process_of_another_home_is_waited_for(bench: Bench) -> None:
    """Nobody can tell from here whether it lives: its lease has to end."""
    async with bench.custody:
        other = await other_holds(bench.claims, "tok")
        assert not await bench.custody.take("tok")
        bench.claims.expire(other.id)
        assert await bench.custody.take("tok")


async def test_who_lost_its_lease_keeps_what_nobody_took(bench: Bench) -> None:
    """After a sleep of the machine a process goes on with what is still its own, and drops the rest."""
    async with bench.custody:
        await bench.custody.take("kept")
        await bench.custody.take("lost")
        bench.claims.expire(bench.custody.id)
        other = await other_holds(bench.claims, "lost")
        assert other.id == (await bench.claims.claims())["lost"].worker
        await bench.custody.renew()
        assert bench.dropped == ["lost"]
        assert bench.custody.held == {"kept"}
        await bench.custody.keep("kept")
        working = asyncio.create_task(bench.custody.keep("lost"))
        with pytest.raises(asyncio.CancelledError):
            await working


async def test_a_holder_is_asked_to_let_go(bench: Bench) -> None:
    """It reads that when it renews its lease, and drops what it is asked for."""
    asking = bench.another()
    async with bench.custody, asking:
        await bench.custody.take("tok")
        await asking.ask("tok")
        assert bench.dropped == []
        await bench.custody.renew()
        assert bench.dropped == ["tok"]


async def test_a_done_step_clears_the_count_of_takeovers(bench: Bench) -> None:
    """`taken` counts who died with a delivery in a row; a step that is done ends the row."""
    async with bench.custody:
        other = await other_holds(bench.claims, "tok")
        bench.claims.expire(other.id)
        await bench.custody.take("tok")
        assert (await bench.claims.claims())["tok"].taken == 2
        await bench.custody.settle("tok")
        assert (await bench.claims.claims())["tok"].taken == 1


async def test_the_lease_is_renewed_by_itself(home: Path) -> None:
    """Who is asked to let go hears of it without doing anything for that."""
    dropped: asyncio.Queue[str] = asyncio.Queue()
    async with Custody(MemoryClaims(), home, LONG, 0.001, dropped.put_nowait) as custody:
        await custody.take("tok")
        await custody.ask("tok")
        assert await dropped.get() == "tok"


async def test_a_copy_of_a_home_is_another_home(bench: Bench, tmp_path: Path) -> None:
    """Two machines made from one image must not take each other's processes for dead ones of their own."""
    import shutil

    async with bench.custody:
        (first,) = await bench.claims.workers()
    await asyncio.to_thread(shutil.copytree, bench.home, tmp_path / "copy")
    copy = Custody(bench.claims, tmp_path / "copy", LONG, LONG, bench.dropped.append)
    async with copy:
        (second,) = await bench.claims.workers()
    assert first.home != second.home
