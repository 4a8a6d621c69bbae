"""A delivery that is interrupted, with the durable runtime: it stays where it was until it is resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from dbos import DBOSClient, DBOSPortableJSONSerializer

from lorry.delivery.ports import Publication, Published
from lorry.errors import (
    DeliveryError,
    SourceChanged,
)
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
NOTHING = dict.fromkeys(ONE, 0)


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


async def test_a_cancelled_ship_goes_on_where_it_was(bench: Bench) -> None:
    """Ctrl-C leaves a delivery that another process takes up: its finished steps are not run again."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
        shipping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shipping
    assert (await bench.placement()).state is PlacementState.DELIVERING
    assert await bench.told() == ["check started", "check done", "publish started"]
    async with bench.open() as deliveries:
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    told = await bench.told("started")
    assert told[:3] == ["check started", "publish started", "publish started"]
    assert bench.ground.counts() == ONE


async def test_opening_restarts_nothing(bench: Bench) -> None:
    """A stopped delivery stays where it is while another model is shipped, until somebody resumes it."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping
    told = await bench.told()
    other = bench.source.with_name("other.safetensors")
    other.write_bytes(b"others")
    async with bench.open() as deliveries:
        await deliveries.ship(other, "other")
        assert await bench.told() == told
        assert (await bench.placement()).state is PlacementState.DELIVERING
        assert (await deliveries.ship(bench.source, "tok")).state is PlacementState.READY


async def test_what_a_killed_process_had_queued_stays_put(bench: Bench) -> None:
    """A delivery that was put into the queue by a process that died then is not begun by the next one."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping
    await asyncio.to_thread(_enqueue_everything, bench.home)
    told = await bench.told()
    other = bench.source.with_name("other.safetensors")
    other.write_bytes(b"others")
    async with bench.open() as deliveries:
        await deliveries.ship(other, "other")
        assert await bench.told() == told
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    assert bench.ground.counts() == dict.fromkeys(ONE, 2)


def _enqueue_everything(home: Path) -> None:
    client = DBOSClient(
        system_database_url=f"sqlite:///{home / 'deliveries.sqlite'}", serializer=DBOSPortableJSONSerializer()
    )
    found = client.list_workflows(status="PENDING")
    assert len(found) == 1
    client.resume_workflow(found[0].workflow_id)
    client.destroy()


async def test_retiring_stops_a_delivery_that_runs(bench: Bench) -> None:
    """A running delivery is stopped by retiring its model; who shipped is told, and nothing is left."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
        await deliveries.retire("tok")
        with pytest.raises(DeliveryError):
            await shipping
    assert bench.ground.counts() == NOTHING
    assert await bench.store.models() == ()


async def test_a_changed_file_is_not_resumed(bench: Bench, change: Callable[[bytes], None]) -> None:
    """Resuming with another file on disk is refused, and leaves the delivery as it was."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping
    original = await asyncio.to_thread(bench.source.read_bytes)
    change(b"other weights")
    async with bench.open() as deliveries:
        with pytest.raises(SourceChanged):
            await deliveries.resume("tok")
        assert (await bench.placement()).state is PlacementState.DELIVERING
        change(original)
        assert (await deliveries.resume("tok")).state is PlacementState.READY
