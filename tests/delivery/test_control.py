"""What a person does with a delivery: cancel it, keeping or undoing what exists, or do a part of it again."""

from __future__ import annotations

import asyncio

import pytest

from lorry.delivery import Policy
from lorry.errors import DeliveryError, NothingToCancel, OptionInvalid, ProofNoEffect
from lorry.model.events import Event
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.others import other_holds

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
NOTHING = dict.fromkeys(ONE, 0)
#: A pause that no test lives to see the end of.
SLEEPY = Policy(first_look=3600.0, steady=3600.0, slowest=3600.0, first_retry=0.001)


class Waiting:
    """Hears when a delivery waits for a deployment, which is far from ready from then on."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.reached = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        self._bench.heard.append(event)
        if (event.subject, event.action) == ("deploy", "done"):
            self._bench.ground.looks = 10**9
        if (event.subject, event.action) == ("wait", "state"):
            self.reached.set()


@pytest.mark.parametrize("undo", [False, True])
async def test_a_cancelled_wait_ends_at_once(bench: Bench, undo: bool) -> None:
    """In the middle of an hour's pause; who shipped is told; what exists is kept, or undone, as was asked."""
    waiting = Waiting(bench)
    bench.ground.looks = 0
    async with bench.open(listen=waiting, policy=SLEEPY) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await waiting.reached.wait()
        if undo:
            bench.ground.looks = 0
        placement = await deliveries.cancel("tok", undo=undo)
        with pytest.raises(DeliveryError):
            await shipping
        assert await bench.claims.claims() == {}
        if undo:
            assert placement is None
            assert bench.ground.counts() == NOTHING
            return
        assert placement is not None
        assert placement.state is PlacementState.HELD
        assert bench.ground.counts() == ONE
    bench.ground.looks = 1
    async with bench.open() as deliveries:
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_cancelling_asks_whoever_has_it(bench: Bench) -> None:
    """A delivery in another process' hands is cancelled when that lets go, which it is asked for."""
    waiting = Waiting(bench)
    bench.ground.looks = 0
    async with bench.open(listen=waiting, policy=SLEEPY) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await waiting.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping
    other = await other_holds(bench.claims, "tok")
    async with bench.open() as deliveries:
        cancelling = asyncio.create_task(deliveries.cancel("tok"))
        await bench.claims.was_asked.wait()
        await bench.claims.release("tok", other.id)
        placement = await cancelling
    assert placement is not None
    assert placement.state is PlacementState.HELD


async def test_a_failed_delivery_can_be_undone(bench: Bench) -> None:
    """Everything that it left is removed."""
    bench.ground.effect = 0
    async with bench.open() as deliveries:
        with pytest.raises(ProofNoEffect):
            await deliveries.ship(bench.source, "tok")
        assert bench.ground.counts() != NOTHING
        assert await deliveries.cancel("tok", undo=True) is None
    assert bench.ground.counts() == NOTHING


async def test_what_is_ready_is_not_cancelled(bench: Bench) -> None:
    """It is told that it is not on its way, and what removes it."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
        with pytest.raises(NothingToCancel, match="not on its way") as caught:
            await deliveries.cancel("tok", undo=True)
    assert "lorry retire tok" in caught.value.fix
    assert bench.ground.counts() == ONE


async def test_a_step_is_done_again_and_those_before_are_not(bench: Bench) -> None:
    """From `prove` on: the proof is made anew, nothing is created or uploaded a second time."""
    bench.ground.effect = 0
    async with bench.open() as deliveries:
        with pytest.raises(ProofNoEffect):
            await deliveries.ship(bench.source, "tok")
        bench.ground.effect = 40
        before = len(await bench.store.read("tok"))
        assert (await deliveries.retry("tok", "deploy")).state is PlacementState.READY
        events = (await bench.store.read("tok"))[before:]
    done = [event.subject for event in events if event.action == "done"]
    assert done == ["deploy", "wait", "route", "prove", "ready"]
    assert bench.ground.counts() == ONE
    assert bench.ground.calls.count("registry.upload") == 1


async def test_what_is_ready_can_be_proved_again(bench: Bench) -> None:
    """A ready model may be taken through its last steps again."""
    async with bench.open() as deliveries:
        first = await deliveries.ship(bench.source, "tok")
        again = await deliveries.retry("tok", "prove")
    assert again.state is PlacementState.READY
    assert again.ids == first.ids


@pytest.mark.parametrize("step", ["ready", "flying"])
async def test_a_step_that_was_not_reached_is_refused(bench: Bench, step: str) -> None:
    """Neither a step beyond the one that failed nor one that does not exist; those that can be are named."""
    bench.ground.reject = ("No.",)
    async with bench.open() as deliveries:
        with pytest.raises(DeliveryError):
            await deliveries.ship(bench.source, "tok")
        calls = list(bench.ground.calls)
        with pytest.raises(OptionInvalid, match="last finished step is upload") as caught:
            await deliveries.retry("tok", step)
    assert caught.value.evidence["steps"] == ["publish", "register", "upload", "validate"]
    assert bench.ground.calls == calls
    assert (await bench.placement()).state is PlacementState.FAILED
