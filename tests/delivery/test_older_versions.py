"""A delivery that a previous version of Lorry began, and this one finishes."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from lorry.delivery import Working
from lorry.errors import DeliveryError
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.test_working import ONE, Gate


async def begun_by(bench: Bench, version: str) -> None:
    """Leave a delivery half way, as a process of another version left it."""
    gate = Gate()
    async with bench.open(publisher=gate) as deliveries:
        shipping = asyncio.create_task(deliveries.ship(bench.source, "tok"))
        await gate.reached.wait()
    with pytest.raises(DeliveryError):
        await shipping
    with sqlite3.connect(bench.home / "deliveries.sqlite") as connection:
        connection.execute("update workflow_status set application_version = ?", (version,))
    connection.close()


@pytest.mark.parametrize("version", ["lorry-1", "lorry-99"])
async def test_what_another_version_began_is_finished(bench: Bench, version: str) -> None:
    """Its steps are not replayed, as they may have been others; it is begun anew and adopts what exists."""
    await begun_by(bench, version)
    async with bench.open() as deliveries:
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_a_worker_finishes_it_too(bench: Bench) -> None:
    """Nobody has to say so."""
    await begun_by(bench, "lorry-1")
    async with bench.open() as deliveries:
        assert await Working(deliveries).sweep() == 1
        await deliveries.settled()
    assert (await bench.placement()).state is PlacementState.READY
    assert bench.ground.counts() == ONE


async def test_what_an_older_lorry_left_is_removed_by_retiring(bench: Bench) -> None:
    """Nothing of its workflow stays behind that could be begun again."""
    await begun_by(bench, "lorry-1")
    async with bench.open() as deliveries:
        await deliveries.retire("tok")
        assert await Working(deliveries).sweep() == 0
    assert bench.ground.counts() == dict.fromkeys(ONE, 0)
    with sqlite3.connect(bench.home / "deliveries.sqlite") as connection:
        left = connection.execute("select status from workflow_status where workflow_uuid like 'ship:%'")
        assert left.fetchall() == []
    connection.close()
