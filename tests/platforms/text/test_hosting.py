"""Deployments of the base and of models of one's own: configurations, traffic, checks, events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorry.delivery.choosing import Purpose, choose
from lorry.delivery.ports import DeploymentOrder, DeploymentState, Platform, Scaling
from lorry.engine.testing import running_engine
from lorry.errors import LorryError, NotThere, RequestRefused
from lorry.platforms.together import connect
from tests.platforms.text.hosting import BASE, adapter, host_of, ready


async def test_configurations_have_the_rehearsed_prices_cheapest_first(home: Path) -> None:
    """With Together's hardware: H100s before the pair, prices and room told, what is uncertified left out."""
    with running_engine(home, hardware="together") as engine:
        async with connect(engine.url, "any-key") as platform:
            base = await platform.registry.base(BASE)
    told = [(each.hardware, each.cents_per_hour, each.mode) for each in base.configurations]
    assert told == [
        ("1xnvidia-h100-80gb", 549, "disabled"),
        ("1xnvidia-h100-80gb", 549, "dynamic"),
        ("2xnvidia-h100-80gb", 1098, "disabled"),
    ]
    assert all(each.headroom for each in base.configurations)
    assert base.shared == BASE


async def test_traffic_is_split_by_weights(platform: Platform, tmp_path: Path) -> None:
    """Two deployments of one endpoint: the weights are kept as they were given, and one can be 0."""
    host = await host_of(platform)
    base = await platform.registry.base(BASE)
    model, revision = await adapter(platform, tmp_path, "tok")
    config = choose(base, Purpose.OWN, None).resource
    order = DeploymentOrder("own", f"{model.resource}/revisions/{revision}", config)
    own = await platform.deployments.create(host.endpoint.id, order)
    found = await ready(platform, host.endpoint, own.id)
    assert (found.model, found.config, found.replicas) == (order.model, order.config, (1, 1))
    split = {host.deployment.id: 3.0, own.id: 1.0}
    assert (await platform.endpoints.route(host.endpoint.id, split)).weights == split
    routed = await platform.endpoints.route(host.endpoint.id, {host.deployment.id: 0, own.id: 1})
    assert routed.routed == (own.id,)
    again = await platform.endpoints.find("shared")
    assert again is not None
    assert again.weights == routed.weights
    assert {each.id for each in await platform.deployments.list(host.endpoint.id)} == set(split)


async def test_a_check_creates_nothing_and_says_what_the_platform_objects_to(platform: Platform) -> None:
    """`validateOnly`: a good order passes, a config that is none is refused, and nothing exists after."""
    base = await platform.registry.base(BASE)
    endpoint = await platform.endpoints.create("own")
    good = DeploymentOrder("own", base.resource, choose(base, Purpose.OWN, None).resource)
    await platform.deployments.validate(endpoint.id, good)
    with pytest.raises(LorryError, match="cr_none"):
        await platform.deployments.validate(endpoint.id, replace(good, config="projects/pub/configs/cr_none"))
    with pytest.raises(RequestRefused, match="minReplicas"):
        await platform.deployments.validate(endpoint.id, replace(good, scaling=Scaling(2, 1)))
    assert await platform.deployments.list(endpoint.id) == ()


async def test_a_stopped_deployment_starts_again(platform: Platform) -> None:
    """Stopped, it has no replicas; with replicas asked for again it becomes ready."""
    host = await host_of(platform)
    where = (host.endpoint.id, host.deployment.id)
    await platform.endpoints.route(host.endpoint.id, {})
    await platform.deployments.stop(*where)
    states = []
    for _ in range(10):
        found = await platform.deployments.look(*where)
        assert found is not None
        states.append(found.state)
        if found.state is DeploymentState.STOPPED:
            break
    assert set(states) == {DeploymentState.STOPPING, DeploymentState.STOPPED}
    assert found is not None
    assert (found.replicas, found.fault) == ((0, 0), None)
    await platform.deployments.start(*where, Scaling(inactive_minutes=60))
    assert (await ready(platform, host.endpoint, host.deployment.id)).said == "DEPLOYMENT_STATE_READY"


async def test_events_tell_what_happened_in_order(platform: Platform) -> None:
    """The oldest first, those of the deployment under its id, each with type, level and words."""
    host = await host_of(platform)
    events = await platform.endpoints.events(host.endpoint.id)
    kinds = [event.kind for event in events]
    assert kinds.index("endpoint.created") < kinds.index("deployment.created")
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.deployment for event in events} == {None, host.deployment.id}
    assert all(event.message and event.level in ("debug", "info", "warn", "error") for event in events)
    assert len({event.id for event in events}) == len(events)
    with pytest.raises(NotThere):
        await platform.endpoints.events("ep_none")


async def test_of_many_events_the_newest_hundred_are_told(platform: Platform) -> None:
    """A hundred of more come: what happened first is not among them."""
    endpoint = await platform.endpoints.create("busy")
    for _ in range(101):
        await platform.endpoints.route(endpoint.id, {})
    events = await platform.endpoints.events(endpoint.id)
    assert len(events) == 100
    assert {event.kind for event in events} == {"endpoint.updated"}
