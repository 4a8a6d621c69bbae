"""Everything that bills, read through the official client from the engine: deployments, containers, v1."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from lorry.delivery.ports import ContainerOrder, DeploymentOrder, Platform, Scaling
from lorry.engine.testing import RunningEngine, running_engine
from lorry.model.billing import Billed, BilledKind
from lorry.platforms.together import connect, connect_fleet
from lorry.platforms.together.fleet import TogetherFleet

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

BASE = "lorry/flux-icons-64"
NAME = "lorry-tok-12345678"


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[RunningEngine]:
    """Run an engine that rehearses Together's hardware, its first version too."""
    with running_engine(home, hardware="together", v1=True) as running:
        yield running


@pytest.fixture
async def platform(engine: RunningEngine) -> AsyncIterator[Platform]:
    """Connect as a delivery does."""
    async with connect(engine.url, "any") as connected:
        yield connected


@pytest.fixture
async def fleet(engine: RunningEngine) -> AsyncIterator[TogetherFleet]:
    """Connect as the keeper does."""
    async with connect_fleet(engine.url, "any", engine.clock.now) as connected:
        yield connected


async def deployed(platform: Platform, name: str = NAME, replicas: int = 1) -> tuple[str, str]:
    """Deploy the base behind an endpoint; give the ids of both."""
    base = await platform.registry.base(BASE)
    endpoint = await platform.endpoints.create(name)
    config = base.configurations[0].resource
    order = DeploymentOrder(name, base.resource, config, Scaling(replicas, replicas))
    made = await platform.deployments.create(endpoint.id, order)
    return endpoint.id, made.id


async def only(fleet: TogetherFleet, kind: BilledKind) -> Billed:
    """Give the one thing of a kind."""
    (found,) = [thing for thing in (await fleet.list()).objects if thing.kind is kind]
    return found


async def test_a_deployment_with_its_price_and_its_history(
    engine: RunningEngine, platform: Platform, fleet: TogetherFleet
) -> None:
    """It is listed with hardware, price and replicas; its expiry goes into its name and comes back."""
    _, deployment = await deployed(platform)
    begun = engine.clock.now()
    thing = await only(fleet, BilledKind.DEPLOYMENT)
    assert (thing.id, thing.name, thing.running, thing.wanted) == (deployment, NAME, 1, 1)
    assert (thing.hardware, thing.cents_per_hour, thing.until) == ("1xnvidia-h100-80gb", 549, None)
    assert thing.ours
    until = begun.replace(second=0) + timedelta(hours=2)
    await fleet.renew(thing, until)
    again = await only(fleet, BilledKind.DEPLOYMENT)
    assert (again.name, again.until) == (NAME, until)
    engine.advance(600)
    await fleet.start(again, 2, 2)
    assert (await only(fleet, BilledKind.DEPLOYMENT)).running == 2
    engine.advance(600)
    await fleet.stop(again)
    await fleet.stop(again)
    stopped = await only(fleet, BilledKind.DEPLOYMENT)
    assert (stopped.running, stopped.wanted) == (0, 0)
    changes = await fleet.changes(again)
    assert changes == (
        (begun, 1),
        (begun + timedelta(seconds=600), 2),
        (begun + timedelta(seconds=1200), 0),
    )
    assert await fleet.requests(again, begun) == 0


async def test_a_delivery_finds_what_the_keeper_has_renamed(platform: Platform, fleet: TogetherFleet) -> None:
    """A name with an expiry is still the name that a delivery looks for."""
    from lorry.delivery.routes.common import bare

    endpoint, _ = await deployed(platform)
    thing = await only(fleet, BilledKind.DEPLOYMENT)
    assert thing.created_at is not None
    await fleet.renew(thing, thing.created_at + timedelta(hours=1))
    (found,) = await platform.deployments.list(endpoint)
    assert "-until-" in found.name
    assert bare(found.name) == NAME


async def test_many_are_listed_in_few_calls(platform: Platform, fleet: TogetherFleet) -> None:
    """Endpoints come on pages of five hundred, with their deployments in them."""
    for number in range(12):
        await deployed(platform, f"lorry-m{number:02}-{hashlib.sha256(b'x').hexdigest()[:8]}")
    listed = await fleet.list()
    assert len(listed.objects) == 12
    assert listed.missing == {}


async def test_an_endpoint_with_many_deployments_is_listed_whole(
    platform: Platform, fleet: TogetherFleet
) -> None:
    """An endpoint shows its ten newest deployments; where there may be more, all of them are listed."""
    base = await platform.registry.base(BASE)
    endpoint = await platform.endpoints.create("lorry-many-12345678")
    config = base.configurations[0].resource
    for number in range(12):
        order = DeploymentOrder(f"lorry-many-{number:02}-12345678", base.resource, config, Scaling(1, 1))
        await platform.deployments.create(endpoint.id, order)
    listed = (await fleet.list()).objects
    assert len({thing.id for thing in listed}) == 12
    assert all(thing.parent == endpoint.id and thing.wanted == 1 for thing in listed)
    assert sum(thing.running for thing in listed) == 8  # as many as the rehearsed hardware has room for


async def test_a_container_sleeps_and_wakes(platform: Platform, fleet: TogetherFleet) -> None:
    """Its expiry stands in its description; stopped it needs no replica, started it has one."""
    order = ContainerOrder("lorry-box-12345678", "registry/lorry-worker:1", environment={"LORRY_BASE": BASE})
    await platform.containers.create(order)
    thing = await only(fleet, BilledKind.CONTAINER)
    assert (thing.name, thing.running, thing.wanted, thing.cents_per_hour) == (order.name, 1, 1, None)
    assert thing.created_at is not None
    until = thing.created_at.replace(second=0, microsecond=0) + timedelta(hours=1)
    await fleet.renew(thing, until)
    await fleet.renew(thing, until + timedelta(hours=1))
    assert (await only(fleet, BilledKind.CONTAINER)).until == until + timedelta(hours=1)
    await fleet.stop(thing)
    assert (await only(fleet, BilledKind.CONTAINER)).wanted == 0
    await fleet.start(thing, 1, 1)
    assert (await only(fleet, BilledKind.CONTAINER)).wanted == 1


async def test_an_endpoint_of_the_first_version_is_one_thing(
    platform: Platform, fleet: TogetherFleet
) -> None:
    """It is listed once, its expiry stands in its display name, and our label is found all the same."""
    hardware = (await platform.legacy.hardware(BASE))[0]
    made = await platform.legacy.create(NAME, BASE, hardware.id, 0)
    thing = await only(fleet, BilledKind.LEGACY)
    assert len((await fleet.list()).objects) == 1
    assert (thing.name, thing.running) == (NAME, 1)
    assert thing.created_at is not None
    await fleet.renew(thing, thing.created_at + timedelta(hours=1))
    assert (await only(fleet, BilledKind.LEGACY)).until is not None
    found = await platform.legacy.find(NAME)
    assert found is not None
    assert found.id == made.id
    await fleet.stop(thing)
    assert (await only(fleet, BilledKind.LEGACY)).wanted == 0
    await fleet.start(thing, 1, 1)
    assert (await only(fleet, BilledKind.LEGACY)).wanted == 1
