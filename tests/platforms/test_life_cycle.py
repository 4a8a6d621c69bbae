"""The whole life of a model through the ports, against a server that knows the dossier only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lorry.delivery.ports import (
    DeploymentOrder,
    DeploymentState,
    HostedBase,
    HostedModel,
    ModelKind,
    Platform,
    RevisionState,
    Scaling,
    UploadFile,
)
from lorry.errors import (
    Conflict,
    DeploymentFailed,
    DeploymentStalled,
    LorryError,
    NoCapacity,
    NotThere,
)
from lorry.model.generation import PictureOrder
from lorry.platforms.together.deployments import state_of
from tests.platforms.conftest import BASE
from tests.platforms.stand_in import PNG, StandIn
from tests.platforms.wire import Seen

JSON = "application/json"


def _file(folder: Path, name: str, size: int) -> UploadFile:
    path = folder / name
    seed = hashlib.sha256(name.encode()).digest()
    path.write_bytes((seed * (size // len(seed) + 1))[:size])
    return UploadFile(name, path)


def _quiet(_sent: int, _total: int) -> None:
    pass


async def test_a_model_goes_from_nothing_to_pictures_and_back(
    platform: Platform, server: StandIn, tmp_path: Path
) -> None:
    """Base, record, upload, revision, endpoint, deployment, route, picture, stop, delete: nothing stays."""
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("tok-12345678", base, "ours", ModelKind.ADAPTER)
    files = [_file(tmp_path, "adapter_model.safetensors", 3500), _file(tmp_path, "adapter_config.json", 40)]
    revision = await platform.registry.upload(model.id, files, _quiet)
    assert (await platform.registry.revisions(model.id))[0].state is RevisionState.VALID
    endpoint = await platform.endpoints.create("tok-12345678")
    made = await platform.deployments.create(endpoint.id, _order("tok-12345678", base, model, revision.id))
    assert made.state is DeploymentState.STARTING
    assert made.message == "downloading weights"
    server.deployments[made.id]["status"] = {"state": "DEPLOYMENT_STATE_READY", "message": "1 of 1 answer"}
    look = await platform.deployments.look(endpoint.id, made.id)
    assert look is not None
    assert look.state is DeploymentState.READY
    assert (await platform.endpoints.route(endpoint.id, {made.id: 1})).routed == (made.id,)
    order = PictureOrder(endpoint.name, "TOK", 7, steps=4, size=64, adapter=model.name, scale=0.0)
    assert (await platform.painter.paint(order))[0].png.startswith(PNG)
    assert (await platform.endpoints.route(endpoint.id, {})).routed == ()
    await platform.deployments.stop(endpoint.id, made.id)
    await platform.deployments.delete(endpoint.id, made.id)
    await platform.endpoints.delete(endpoint.id)
    await platform.registry.delete(model.id)
    assert (server.models, server.endpoints, server.deployments) == ({}, {}, {})
    assert server.stored  # and what went over the line was put together again and had the right hashes


async def test_what_is_not_there_is_gone_already(platform: Platform, server: StandIn) -> None:
    """Stopping and deleting a thing that is not there is fine, in whatever order it went away."""
    await platform.registry.delete("ml_none")
    await platform.endpoints.delete("ep_none")
    await platform.deployments.stop("ep_none", "dep_none")
    await platform.deployments.delete("ep_none", "dep_none")
    assert await platform.deployments.look("ep_none", "dep_none") is None
    assert not [path for path in server.paths() if path.startswith("PATCH")]


async def test_a_stopped_deployment_is_not_stopped_again(platform: Platform, server: StandIn) -> None:
    """Stopping twice asks the platform to change something only once."""
    endpoint, deployment = await _deployed(platform)
    await platform.deployments.stop(endpoint, deployment)
    await platform.deployments.stop(endpoint, deployment)
    assert len([path for path in server.paths() if path.startswith("PATCH")]) == 1


async def test_names_are_found_on_any_page_and_exactly(platform: Platform) -> None:
    """A bare name finds `slug/name` on a later page, and neither a longer nor a shorter name."""
    base = await platform.registry.base(BASE)
    for name in ("tok-1", "tok-12", "a-tok-1", "tok"):
        await platform.registry.create(name, base, f"about {name}", ModelKind.ADAPTER)
        await platform.endpoints.create(name)
    model, endpoint = await platform.registry.find("tok"), await platform.endpoints.find("tok")
    assert model is not None
    assert (model.name, model.description) == ("slug/tok", "about tok")
    assert model.resource == f"projects/proj_1/models/{model.id}"
    assert endpoint is not None
    assert endpoint.name == "slug/tok"
    assert await platform.registry.find("to") is None
    assert await platform.endpoints.find("k-1") is None


async def test_all_deployments_of_an_endpoint_are_listed(platform: Platform) -> None:
    """The list goes over all pages; the endpoint's own summaries end at ten."""
    endpoint, _ = await _deployed(platform)
    base, model = await platform.registry.base(BASE), await platform.registry.find("tok")
    assert model is not None
    for number in range(4):
        await platform.deployments.create(endpoint, _order(f"tok-{number}", base, model, "rv_1"))
    names = [found.name for found in await platform.deployments.list(endpoint)]
    assert names == ["slug/tok/tok", *(f"slug/tok/tok-{number}" for number in range(4))]


async def test_a_base_is_found_by_its_exact_name_with_its_configurations(platform: Platform) -> None:
    """Near misses are passed over; four configurations on two pages, those with few accelerators first."""
    base = await platform.registry.base(BASE)
    assert (base.id, base.name, base.resource) == ("ml_b2", BASE, "projects/pub/models/ml_b2")
    assert [each.resource for each in base.configurations] == [
        f"projects/pub/configs/cr_{count}" for count in (1, 2, 4, 8)
    ]


async def test_a_base_without_a_configuration_has_none(platform: Platform, server: StandIn) -> None:
    """What the platform serves and can't host for us has no configuration (zero configs, dossier 2.5)."""
    server.configs.clear()
    assert (await platform.registry.base(BASE)).configurations == ()
    server.supported[2]["baseModel"] = ""
    base = await platform.registry.base(BASE)
    assert (base.resource, base.configurations) == ("", ())


async def test_a_base_that_is_not_served_is_not_there_and_near_names_are_said(platform: Platform) -> None:
    """The error names the bases that nearly match."""
    with pytest.raises(NotThere, match=r"'lorry/base-6'.*lorry/base-64-turbo"):
        await platform.registry.base("lorry/base-6")


async def test_a_change_that_leaves_the_traffic_alone_is_no_conflict(
    platform: Platform, server: StandIn
) -> None:
    """The endpoint got another etag in between: it is read again, and ours is sent once more."""
    endpoint, deployment = await _deployed(platform)
    _stale(server, endpoint)
    assert (await platform.endpoints.route(endpoint, {deployment: 1})).weights == {deployment: 1}
    assert len([path for path in server.paths() if path.startswith("PATCH")]) == 2


async def test_traffic_that_somebody_else_changed_is_a_conflict(platform: Platform, server: StandIn) -> None:
    """Their split is not written over: the platform's 409 arrives as Conflict, and theirs stays."""
    endpoint, deployment = await _deployed(platform)
    _stale(server, endpoint)
    theirs = [{"deploymentId": "dep_theirs", "weight": 1}]
    server.endpoints[endpoint]["trafficSplit"] = theirs
    with pytest.raises(Conflict, match="ABORTED"):
        await platform.endpoints.route(endpoint, {deployment: 1})
    assert server.endpoints[endpoint]["trafficSplit"] == theirs


async def test_an_endpoint_that_changes_all_the_time_is_a_conflict_in_the_end(
    platform: Platform, server: StandIn
) -> None:
    """After four attempts the caller hears of it."""
    endpoint, deployment = await _deployed(platform)
    for _ in range(4):
        _stale(server, endpoint)
    refused = (f"/v2/projects/proj_1/endpoints/{endpoint}", 409, b'{"code": 10, "message": "ABORTED"}', JSON)
    server.instead = [step for stale in server.instead for step in (stale, refused)]
    with pytest.raises(Conflict, match="ABORTED"):
        await platform.endpoints.route(endpoint, {deployment: 1})
    assert len([path for path in server.paths() if path.startswith("PATCH")]) == 4


def _stale(server: StandIn, endpoint: str) -> None:
    """Let the next read of an endpoint give an etag that is none any more."""
    old = _json(server.endpoints[endpoint] | {"etag": "0"})
    server.instead.append((f"/v2/projects/proj_1/endpoints/{endpoint}", 200, old, JSON))


async def test_one_replica_of_the_given_revision_is_deployed(platform: Platform, server: StandIn) -> None:
    """The create call pins the revision and asks for exactly one replica."""
    await _deployed(platform)
    sent = _created(server)
    assert sent.json["model"].endswith("/revisions/rv_1")
    assert sent.json["autoscaling"] == {"minReplicas": 1, "maxReplicas": 1}
    assert sent.json["config"] == "projects/pub/configs/cr_1"
    assert "inactiveTimeout" not in sent.json
    assert "validateOnly" not in sent.query


async def test_scaling_is_sent_as_the_dossier_says(platform: Platform, server: StandIn) -> None:
    """Bounds, minutes without a request, and the idle window as a duration (2.7)."""
    endpoint = await platform.endpoints.create("tok")
    scaling = Scaling(min_replicas=1, max_replicas=3, inactive_minutes=60, idle_window=600)
    order = DeploymentOrder("tok", "projects/proj_1/models/ml_1", "projects/pub/configs/cr_1", scaling)
    await platform.deployments.create(endpoint.id, order)
    sent = _created(server).json
    assert sent["autoscaling"] == {"minReplicas": 1, "maxReplicas": 3, "scaleToZeroWindow": "600s"}
    assert sent["inactiveTimeout"] == 60


async def test_a_check_says_that_it_is_one(platform: Platform, server: StandIn) -> None:
    """`validateOnly` stands in the query, and what the platform answers makes nothing (2.7)."""
    endpoint = await platform.endpoints.create("tok")
    order = DeploymentOrder("tok", "projects/proj_1/models/ml_1", "projects/pub/configs/cr_1")
    await platform.deployments.validate(endpoint.id, order)
    assert _created(server).query == {"validateOnly": "true"}


async def test_a_start_writes_replicas_and_minutes_and_nothing_else(
    platform: Platform, server: StandIn
) -> None:
    """The mask names what is written; 0 minutes turn the automatic stop off."""
    path = "/v2/projects/proj_1/endpoints/ep_1/deployments/dep_1"
    server.instead.append((path, 200, b'{"id": "dep_1"}', JSON))
    await platform.deployments.start("ep_1", "dep_1", Scaling(2, 4))
    sent = server.seen[-1]
    assert (sent.method, sent.query) == ("PATCH", {"updateMask": "autoscaling,inactiveTimeout"})
    assert sent.json == {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}, "inactiveTimeout": 0}


@pytest.mark.parametrize("kind", list(ModelKind))
async def test_a_record_says_what_it_holds(platform: Platform, server: StandIn, kind: ModelKind) -> None:
    """An adapter or a whole model, of its base, under its bare name (2.2)."""
    base = await platform.registry.base(BASE)
    await platform.registry.create("tok", base, "ours", kind)
    assert server.seen[-1].json == {
        "name": "tok",
        "baseModelId": "ml_b2",
        "type": str(kind),
        "description": "ours",
    }


@pytest.mark.parametrize(
    ("state", "message", "fault"),
    [
        ("DEGRADED", "insufficient GPU capacity", NoCapacity),
        ("DEGRADED", "Startup stalled", DeploymentStalled),
        ("DEGRADED", "", None),
        ("FAILED", "Timed out waiting for readiness", DeploymentStalled),
        ("FAILED", "", DeploymentFailed),
        ("PROVISIONING", "insufficient GPU capacity", None),
    ],
)
async def test_a_deployment_that_is_not_coming_up_is_the_error_that_its_words_tell(
    platform: Platform, server: StandIn, state: str, message: str, fault: type[LorryError] | None
) -> None:
    """State and sentence of the platform are kept beside it; a sentence is never missing (5.5)."""
    endpoint, deployment = await _deployed(platform)
    server.deployments[deployment]["status"] = {"state": f"DEPLOYMENT_STATE_{state}", "message": message}
    found = await platform.deployments.look(endpoint, deployment)
    assert found is not None
    assert (found.fault, found.said) == (fault, f"DEPLOYMENT_STATE_{state}")
    assert found.message == (message or f"the platform says DEPLOYMENT_STATE_{state} and nothing more")


def _created(server: StandIn) -> Seen:
    return next(one for one in server.seen if one.method == "POST" and one.path.endswith("/deployments"))


@pytest.mark.parametrize(
    ("said", "ready", "desired", "state"),
    [
        ("PROVISIONING", 0, 1, DeploymentState.STARTING),
        ("READY", 1, 1, DeploymentState.READY),
        ("SCALING", 0, 1, DeploymentState.STARTING),
        ("SCALING", 1, 2, DeploymentState.READY),
        ("SCALING", 1, 0, DeploymentState.STOPPING),
        ("DEGRADED", 0, 1, DeploymentState.DEGRADED),
        ("DEGRADED", 0, 0, DeploymentState.STOPPING),
        ("DEGRADED", 1, 2, DeploymentState.READY),
        ("STOPPING", 1, 0, DeploymentState.STOPPING),
        ("STOPPED", 0, 0, DeploymentState.STOPPED),
        ("FAILED", 0, 1, DeploymentState.FAILED),
        ("HIBERNATING", 0, None, DeploymentState.STARTING),
    ],
)
def test_every_state_of_the_platform_is_read(
    said: str, ready: int, desired: int | None, state: DeploymentState
) -> None:
    """The seven states of the dossier (2.7) and one that nobody knows yet; what answers counts as ready."""
    assert state_of(f"DEPLOYMENT_STATE_{said}", ready, desired) is state


async def _deployed(platform: Platform) -> tuple[str, str]:
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("tok", base, "ours", ModelKind.ADAPTER)
    endpoint = await platform.endpoints.create("tok")
    made = await platform.deployments.create(endpoint.id, _order("tok", base, model, "rv_1"))
    return endpoint.id, made.id


def _order(name: str, base: HostedBase, model: HostedModel, revision: str) -> DeploymentOrder:
    return DeploymentOrder(name, f"{model.resource}/revisions/{revision}", base.configurations[0].resource)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
