"""The doubles behave like a platform: states advance by looks, and what a platform refuses they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.delivery.doubles import Fault, Ground, MemoryPublisher, memory_platform
from lorry.delivery.doubles.instant import InstantDurable
from lorry.delivery.ports import (
    DeploymentOrder,
    DeploymentState,
    HostedDeployment,
    ModelKind,
    Platform,
    Publication,
    RevisionState,
    UploadFile,
)
from lorry.errors import AnswerLost, Conflict, NotThere, RequestRefused
from lorry.model.generation import PictureOrder


async def _deployed(platform: Platform, source: Path) -> tuple[str, HostedDeployment]:
    base = await platform.registry.base("icons")
    model = await platform.registry.create("tok", base, "ours", ModelKind.ADAPTER)
    files = (UploadFile("a", source),)
    revision = await platform.registry.upload(model.id, files, lambda _sent, _total: None)
    endpoint = await platform.endpoints.create("tok")
    config = base.configurations[0].resource
    order = DeploymentOrder("tok", f"{model.resource}/revisions/{revision.id}", config)
    made = await platform.deployments.create(endpoint.id, order)
    return endpoint.id, made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a file to upload."""
    file = tmp_path / "a"
    file.write_bytes(b"12345678")
    return file


async def test_states_advance_by_looks(source: Path) -> None:
    """A deployment is starting for as many looks as was said, then ready; stopped likewise."""
    ground = Ground(looks=2)
    platform = memory_platform(ground)
    endpoint, deployment = await _deployed(platform, source)

    async def look() -> DeploymentState:
        found = await platform.deployments.look(endpoint, deployment.id)
        assert found is not None
        return found.state

    assert [await look() for _ in range(3)] == ["starting", "starting", "ready"]
    await platform.deployments.stop(endpoint, deployment.id)
    assert [await look() for _ in range(3)] == ["stopping", "stopping", "stopped"]
    model = next(iter(ground.things["models"]))
    states = [(await platform.registry.revisions(model))[0].state for _ in range(3)]
    assert states == [RevisionState.PENDING, RevisionState.PENDING, RevisionState.VALID]


async def test_what_is_in_use_is_not_deleted(source: Path) -> None:
    """A routed or running deployment, an endpoint with one, and a model in use are refused."""
    ground = Ground(looks=0)
    platform = memory_platform(ground)
    endpoint, deployment = await _deployed(platform, source)
    await platform.endpoints.route(endpoint, {deployment.id: 1.0})
    with pytest.raises(RequestRefused, match="traffic split"):
        await platform.deployments.delete(endpoint, deployment.id)
    await platform.endpoints.route(endpoint, {})
    with pytest.raises(RequestRefused, match="stopped first"):
        await platform.deployments.delete(endpoint, deployment.id)
    with pytest.raises(RequestRefused, match="has deployments"):
        await platform.endpoints.delete(endpoint)
    with pytest.raises(RequestRefused, match="referenced"):
        await platform.registry.delete(next(iter(ground.things["models"])))
    await platform.deployments.stop(endpoint, deployment.id)
    await platform.deployments.delete(endpoint, deployment.id)
    await platform.endpoints.delete(endpoint)
    await platform.registry.delete(next(iter(ground.things["models"])))
    assert ground.counts() == dict.fromkeys(ground.counts(), 0)


async def test_a_model_s_name_is_unique_and_an_endpoint_s_is_not() -> None:
    """The careless client gets a conflict for the model and two endpoints: what a delivery must avoid."""
    ground = Ground()
    platform = memory_platform(ground)
    base = await platform.registry.base("icons")
    await platform.registry.create("tok", base, "", ModelKind.ADAPTER)
    with pytest.raises(Conflict):
        await platform.registry.create("tok", base, "", ModelKind.ADAPTER)
    await platform.endpoints.create("tok")
    await platform.endpoints.create("tok")
    assert (ground.counts()["models"], ground.counts()["endpoints"]) == (1, 2)
    with pytest.raises(NotThere):
        await platform.registry.base("unheard-of")


@pytest.mark.parametrize("acts", [True, False])
async def test_a_fault_is_met_before_or_after_the_act(acts: bool) -> None:
    """A fault is raised as often as was said, and the call acts only when it says so."""
    ground = Ground(faults=[Fault("endpoints.create", AnswerLost("Lost."), acts=acts, times=2)])
    endpoints = memory_platform(ground).endpoints
    for _ in range(2):
        with pytest.raises(AnswerLost):
            await endpoints.create("tok")
    assert ground.counts()["endpoints"] == (2 if acts else 0)
    await endpoints.create("tok")
    assert ground.calls == ["endpoints.create"] * 3


async def test_a_ground_in_a_file_outlives_its_process(tmp_path: Path, source: Path) -> None:
    """What one ground keeps in a file, another one reads, and goes on with new ids."""
    file = tmp_path / "ground.json"
    first = Ground(file=file)
    await memory_platform(first).endpoints.create("tok")
    publisher = MemoryPublisher(first)
    await publisher.publish(Publication("tok", (UploadFile("a", source),), "icons", None, "ab" * 32))
    second = Ground(file=file)
    assert second.things == first.things
    await memory_platform(second).endpoints.create("tok")
    assert len(second.things["endpoints"]) == 2
    await MemoryPublisher(second).withdraw("tok")
    assert Ground(file=file).counts()["repos"] == 0


async def test_nothing_is_drawn_without_traffic() -> None:
    """A ready deployment without traffic answers nothing, as at Together (dossier 0, fact 6)."""
    with pytest.raises(RequestRefused) as caught:
        await memory_platform(Ground()).painter.paint(PictureOrder("tok", "p", 1))
    assert caught.value.evidence["code"] == "endpoint_not_configured"


async def test_the_instant_runtime_holds_a_workflow_to_its_order() -> None:
    """Kept answers are given again, and asking in another order is an error."""

    async def act() -> dict[str, int]:
        return {"a": 1}

    durable = InstantDurable([("first", {"kept": True})])
    assert await durable.step("first", act) == {"kept": True}
    assert await durable.step("second", act) == {"a": 1}
    with pytest.raises(AssertionError, match="other"):
        await InstantDurable(durable.answers).step("other", act)
