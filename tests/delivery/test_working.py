"""Several processes at the same deliveries: one works, others wait for it, take over, or are let in."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lorry.delivery import Policy, Working
from lorry.delivery.ports import Publication, Published
from lorry.errors import DeliveryBusy, DeliveryError, DeliveryHeld, ModelNotFound
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.others import other_holds

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
NOTHING = dict.fromkeys(ONE, 0)
QUICK = Policy(first_look=0.001, first_retry=0.001, lease=0.002, beat=3600.0, listen=0.0005)


class Gate:
    """A Hub whose `publish` never ends."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def publish(self, publication: Publication) -> Published:
        """Say that it was reached, and wait until the process is told to end."""
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError(f"{publication.repo} was let through")

    async def withdraw(self, repo: str) -> None:
        """Have nothing to withdraw."""


async def stopped_half_way(bench: Bench) -> None:
    """Leave a delivery as a process leaves it that was ended while it published."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping


async def test_a_worker_takes_up_what_nobody_works_on(bench: Bench) -> None:
    """A delivery whose process ended is gone on with at the next look, once; finished steps stay done."""
    await stopped_half_way(bench)
    async with bench.open() as deliveries:
        working = Working(deliveries)
        assert await working.sweep() == 1
        assert await working.sweep() == 0
        await deliveries.settled()
    assert (await bench.placement()).state is PlacementState.READY
    assert bench.ground.counts() == ONE
    assert (await bench.told("started")).count("check started") == 1


async def test_a_worker_leaves_alone_what_somebody_has(bench: Bench) -> None:
    """As long as the other lives it is not touched; when its lease ends it is taken over."""
    await stopped_half_way(bench)
    other = await other_holds(bench.claims, "tok")
    before = await bench.told()
    async with bench.open() as deliveries:
        working = Working(deliveries)
        assert await working.sweep() == 0
        assert await bench.told() == before
        bench.claims.expire(other.id)
        assert await working.sweep() == 1
        await deliveries.settled()
    assert bench.ground.counts() == ONE


async def test_a_worker_ends_what_was_being_removed(bench: Bench) -> None:
    """A retire that was interrupted is gone on with too."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
    await bench.store.save_placement(replace(await bench.placement(), state=PlacementState.RETIRING))
    async with bench.open() as deliveries:
        assert await Working(deliveries).sweep() == 1
        await deliveries.settled()
    assert bench.ground.counts() == NOTHING
    assert await bench.store.models() == ()


@pytest.mark.parametrize("state", [PlacementState.READY, PlacementState.HELD, PlacementState.FAILED])
async def test_a_worker_begins_nothing_that_has_ended(bench: Bench, state: PlacementState) -> None:
    """What is ready, failed or left to a person is not taken up."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
        await bench.store.save_placement(replace(await bench.placement(), state=state))
        before = await bench.told()
        assert await Working(deliveries).sweep() == 0
    assert await bench.told() == before


async def test_what_is_handed_over_waits_for_a_worker(bench: Bench) -> None:
    """It is checked and written down, nothing is made; a worker then makes all of it."""
    async with bench.open() as deliveries:
        assert (await deliveries.submit(bench.source, "tok")).state is PlacementState.DELIVERING
        assert bench.ground.counts() == NOTHING
        assert await Working(deliveries).sweep() == 1
        await deliveries.settled()
        assert (await deliveries.submit(bench.source, "tok")).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_a_delivery_that_kills_is_left_to_a_person(bench: Bench) -> None:
    """After five processes that died with it no other takes it up; `resume` does, when a person says so."""
    await stopped_half_way(bench)
    for number in range(5):
        other = await other_holds(bench.claims, "tok", f"other-{number}")
        bench.claims.expire(other.id)
    async with bench.open() as deliveries:
        assert await Working(deliveries).sweep() == 0
        placement = await bench.placement()
        assert placement.state is PlacementState.HELD
        assert placement.error is not None
        assert placement.error["code"] == DeliveryHeld.code
        assert bench.ground.counts() == NOTHING
        assert (await deliveries.resume("tok")).state is PlacementState.READY


async def test_one_that_can_t_be_taken_up_holds_up_no_other(bench: Bench) -> None:
    """A model whose file changed is told in its journal once and tried again later; the next one is made."""
    await stopped_half_way(bench)
    await asyncio.to_thread(bench.source.write_bytes, b"other weights")
    sound = bench.source.with_name("sound.safetensors")
    await asyncio.to_thread(sound.write_bytes, b"sound weights")
    async with bench.open() as deliveries:
        await deliveries.submit(sound, "zebra")
        working = Working(deliveries)
        assert await working.sweep() == 1
        await deliveries.settled()
        for _ in range(9):
            await working.sweep()
    assert (await bench.told("waits")) == ["resume waits"]
    zebra = await bench.store.placement("zebra")
    assert zebra is not None
    assert zebra.state is PlacementState.READY
    assert (await bench.placement()).state is PlacementState.DELIVERING


async def test_files_that_are_not_on_this_machine_are_left_to_another(bench: Bench) -> None:
    """Until they are uploaded, whoever goes on with a delivery has to see its files."""
    await stopped_half_way(bench)
    content = await asyncio.to_thread(bench.source.read_bytes)
    await asyncio.to_thread(bench.source.unlink)
    async with bench.open() as deliveries:
        working = Working(deliveries)
        before = await bench.told()
        assert await working.sweep() == 0
        assert await bench.told() == before
        await asyncio.to_thread(bench.source.write_bytes, content)
        assert await working.sweep() == 1
        await deliveries.settled()


async def test_a_worker_takes_no_more_than_it_may(bench: Bench) -> None:
    """At most `at_once` deliveries are in its hands at a time."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        for number in range(3):
            source = bench.source.with_name(f"{number}.safetensors")
            await asyncio.to_thread(source.write_bytes, b"weights %d" % number)
            await deliveries.submit(source, f"tok-{number}")
        working = Working(deliveries, at_once=2)
        assert await working.sweep() == 2
        assert await working.sweep() == 0
        assert len(deliveries.custody.held) == 2


async def test_shipping_what_another_ships_waits_for_it(bench: Bench) -> None:
    """The second caller tells what the first does and has its placement in the end; nothing is made twice."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
    made = list(bench.ground.calls)
    await bench.store.save_placement(replace(await bench.placement(), state=PlacementState.DELIVERING))
    other = await other_holds(bench.claims, "tok")
    async with bench.open(policy=replace(QUICK, lease=3600.0)) as deliveries:
        waiting = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await bench.claims.refused.wait()
        assert not waiting.done()
        await bench.store.save_placement(replace(await bench.placement(), state=PlacementState.READY))
        await bench.claims.release("tok", other.id)
        assert (await waiting).state is PlacementState.READY
    assert [call for call in bench.ground.calls[len(made) :] if "create" in call or "publish" in call] == []


async def test_who_ships_takes_over_when_the_other_dies(bench: Bench) -> None:
    """The second caller goes on with the delivery itself as soon as the first one's lease has ended."""
    await stopped_half_way(bench)
    other = await other_holds(bench.claims, "tok")
    async with bench.open(policy=replace(QUICK, lease=3600.0)) as deliveries:
        waiting = asyncio.create_task(deliveries.resume("tok"))
        await bench.claims.refused.wait()
        assert not waiting.done()
        bench.claims.expire(other.id)
        assert (await waiting).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_retiring_asks_whoever_has_it_to_let_go(bench: Bench) -> None:
    """Then it goes on by itself; nothing of the model is left."""
    await stopped_half_way(bench)
    other = await other_holds(bench.claims, "tok")
    async with bench.open(policy=replace(QUICK, lease=3600.0)) as deliveries:
        retiring = asyncio.create_task(deliveries.retire("tok"))
        await bench.claims.was_asked.wait()
        assert not retiring.done()
        await bench.claims.release("tok", other.id)
        await retiring
    assert bench.ground.counts() == NOTHING


async def test_who_does_not_let_go_is_named(bench: Bench) -> None:
    """A living process that does not answer ends in an error that says which one; nothing was changed."""
    await stopped_half_way(bench)
    await other_holds(bench.claims, "tok")
    async with bench.open(policy=QUICK) as deliveries:
        with pytest.raises(DeliveryBusy, match="process 4711 on elsewhere"):
            await deliveries.retire("tok")
    assert (await bench.placement()).state is PlacementState.DELIVERING


async def test_who_is_asked_stops_at_once_and_lets_go(bench: Bench) -> None:
    """Also in the middle of a step; the delivery stays where it was, for whoever asked."""
    gate = Gate()
    async with bench.open(publisher=gate, policy=replace(bench.policy, beat=0.001)) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
        await bench.claims.ask("tok", "let go")
        with pytest.raises(DeliveryError, match="stopped before its end"):
            await shipping
        assert await bench.claims.claims() == {}
    assert (await bench.placement()).state is PlacementState.DELIVERING


async def test_who_lost_a_delivery_does_no_further_step(bench: Bench) -> None:
    """A process that comes back after another took over makes no call any more, and writes nothing."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
        bench.claims.expire(deliveries.custody.id)
        await other_holds(bench.claims, "tok")
        calls, told = list(bench.ground.calls), await bench.told()
        await deliveries.custody.renew()
        with pytest.raises(DeliveryError, match="stopped before its end"):
            await shipping
        assert (bench.ground.calls, await bench.told()) == (calls, told)
        assert (await bench.claims.claims())["tok"].worker == "other"


async def test_an_unknown_model_is_waited_for_by_nobody(bench: Bench) -> None:
    """A name that nobody knows is refused before anybody is asked."""
    async with bench.open() as deliveries:
        for call in (deliveries.resume("tok"), deliveries.cancel("tok"), deliveries.retry("tok", "prove")):
            with pytest.raises(ModelNotFound):
                await call
