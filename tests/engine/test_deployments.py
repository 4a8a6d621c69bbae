"""Deployments: their states, what forbids what, and what moves them on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from lorry.engine.clock import ManualClock
from lorry.engine.pace import Pace
from lorry.engine.renderers.base import base_model
from lorry.engine.testing import FlatRenderer
from lorry.errors import ExtraMissing
from tests.engine.conftest import opened
from tests.engine.samples import Api, deployment_body


def no_renderer() -> FlatRenderer:
    """Fail to open, as `open_renderer` does when the extra is not installed."""
    raise ExtraMissing("The renderer needs the extra `diffusers`.")


def test_states_advance_with_looks(home: Path, clock: ManualClock, weights: Path) -> None:
    """With a pace of two looks every phase is shown twice: validation, start, stop and start again."""
    with opened(home, clock, pace=Pace.looks(2)) as api:
        model, _ = api.adapter(weights=weights)
        path = f"/models/{model['id']}/revisions"
        seen = [api.done("GET", path)["data"][0]["validationStatus"].rpartition("_")[2] for _ in range(3)]
        assert seen == ["PENDING", "PENDING", "SUCCESS"]
        endpoint = api.endpoint()["id"]
        deployment = api.deployment(endpoint, model["id"])["id"]
        assert [api.state(endpoint, deployment) for _ in range(3)] == ["PROVISIONING"] * 2 + ["READY"]
        assert api.scale(endpoint, deployment, 0).status_code == 200
        assert [api.state(endpoint, deployment) for _ in range(3)] == ["STOPPING"] * 2 + ["STOPPED"]
        assert api.scale(endpoint, deployment, 1).status_code == 200
        assert [api.state(endpoint, deployment) for _ in range(3)] == ["PROVISIONING"] * 2 + ["READY"]


def test_states_advance_with_the_clock(home: Path, clock: ManualClock, weights: Path) -> None:
    """With a pace of seconds a phase lasts that long, however often somebody looks."""
    with opened(home, clock, pace=Pace.seconds(30)) as api:
        model, _ = api.adapter(weights=weights)
        clock.advance(30)
        endpoint = api.endpoint()["id"]
        deployment = api.deployment(endpoint, model["id"])["id"]
        clock.advance(29.9)
        assert api.state(endpoint, deployment) == "PROVISIONING"
        clock.advance(0.1)
        assert api.state(endpoint, deployment) == "READY"


def test_a_different_number_of_modules_fails_the_deployment(
    home: Path, clock: ManualClock, weights: Path
) -> None:
    """When loading injects other than the check predicted, it is FAILED for good, with both numbers."""
    with opened(home, clock, renderer=partial(FlatRenderer, 3)) as api:
        endpoint, deployment = api.served(weights)
        row = api.done("GET", f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}")
        assert row["status"]["state"] == "DEPLOYMENT_STATE_FAILED"
        assert "3 layers" in row["status"]["message"]
        assert f"predicted {len(base_model().layers)}" in row["status"]["message"]
        refused = api.scale(endpoint["id"], deployment["id"], 1)
        assert refused.status_code == 400
        assert "failed for good" in refused.json()["message"]
        answer = api.pictures("local/tok")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "dedicated_endpoint_not_running")
        api.route(endpoint["id"], {})
        api.done("DELETE", f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}")


def test_a_renderer_that_can_not_be_opened_is_told(home: Path, clock: ManualClock, weights: Path) -> None:
    """The deployment is FAILED with the renderer's own sentence, and the base answers 503 with it."""
    with opened(home, clock, renderer=no_renderer) as api:
        endpoint, deployment = api.served(weights)
        row = api.done("GET", f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}")
        assert row["status"]["state"] == "DEPLOYMENT_STATE_FAILED"
        assert "extra `diffusers`" in row["status"]["message"]
        answer = api.pictures("lorry/flux-icons-64")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "extra_missing")


def test_a_start_is_refused_while_it_stops(home: Path, clock: ManualClock, weights: Path) -> None:
    """From STOPPING there is no way back to running but through STOPPED (dossier 2.7)."""
    with opened(home, clock, pace=Pace.seconds(10)) as api:
        model, _ = api.adapter(weights=weights)
        clock.advance(10)
        endpoint = api.endpoint()["id"]
        deployment = api.deployment(endpoint, model["id"])["id"]
        clock.advance(10)
        assert api.scale(endpoint, deployment, 0).status_code == 200
        assert api.scale(endpoint, deployment, 1).status_code == 400
        clock.advance(10)
        assert api.scale(endpoint, deployment, 1).status_code == 200


def test_nothing_is_deployed_before_it_is_validated(home: Path, clock: ManualClock, weights: Path) -> None:
    """A revision that is still validated, or a model without one, can't be deployed."""
    with opened(home, clock, pace=Pace.seconds(10)) as api:
        model = api.model()["id"]
        path = f"/endpoints/{api.endpoint()['id']}/deployments"
        refused = api.ask("POST", path, deployment_body(model))
        assert (refused.status_code, "no revisions" in refused.json()["message"]) == (400, True)
        api.upload(model, {weights.name: weights.read_bytes()})
        refused = api.ask("POST", path, deployment_body(model))
        assert (refused.status_code, "not validated" in refused.json()["message"]) == (400, True)
        clock.advance(10)
        assert api.ask("POST", path, deployment_body(model)).status_code == 200


def test_validate_only_makes_nothing(api: Api, weights: Path) -> None:
    """With `validateOnly` the answer is what it would become, and nothing is there afterwards."""
    model, _ = api.adapter(weights=weights)
    path = f"/endpoints/{api.endpoint()['id']}/deployments"
    row = api.done("POST", path, deployment_body(model["id"]), validateOnly="true")
    assert row["name"] == "local/tok/one"
    assert api.done("GET", path)["data"] == []
    wrong = deployment_body(model["id"]) | {"config": "projects/x/configs/cr_other"}
    assert api.ask("POST", path, wrong, validateOnly="true").status_code == 400


def test_a_deployment_with_traffic_or_replicas_stays(api: Api, weights: Path) -> None:
    """It is deleted only when no traffic goes to it and it has stopped; then its entry goes too."""
    endpoint, deployment = api.served(weights)
    path = f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}"
    assert "traffic split" in api.ask("DELETE", path).json()["message"]
    api.route(endpoint["id"], {deployment["id"]: 0})
    assert "must be stopped" in api.ask("DELETE", path).json()["message"]
    assert api.scale(endpoint["id"], deployment["id"], 0).status_code == 200
    api.done("DELETE", path)
    assert api.ask("GET", path).status_code == 404
    assert api.done("GET", f"/endpoints/{endpoint['id']}")["trafficSplit"] == []


def test_a_model_that_is_served_can_not_be_deleted(api: Api, weights: Path) -> None:
    """A model is deleted only when no deployment of it runs; its revisions go with it."""
    endpoint, deployment = api.served(weights)
    model = api.done("GET", "/models")["data"][0]["id"]
    assert api.ask("DELETE", f"/models/{model}").status_code == 400
    assert api.scale(endpoint["id"], deployment["id"], 0).status_code == 200
    api.done("DELETE", f"/models/{model}")
    assert api.ask("GET", f"/models/{model}/revisions").status_code == 404
    # What it was deployed from is gone, so that it can't come up again, and says so.
    api.scale(endpoint["id"], deployment["id"], 1)
    row = api.done("GET", f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}")
    assert row["status"]["state"] == "DEPLOYMENT_STATE_FAILED"
    assert "not there any more" in row["status"]["message"]


def test_etags_guard_updates_and_deletes(api: Api, weights: Path) -> None:
    """An etag of another version is 409 ABORTED and changes nothing; none overwrites (dossier 2.0)."""
    endpoint, deployment = api.served(weights)
    path = f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}"
    body = {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}, "etag": "another"}
    refused = api.ask("PATCH", path, body, updateMask="autoscaling")
    assert (refused.status_code, refused.json()["code"]) == (409, 10)
    assert "ABORTED" in refused.json()["message"]
    assert api.state(endpoint["id"], deployment["id"]) == "READY"
    present = api.done("GET", path)["etag"]
    api.done("PATCH", path, body | {"etag": present}, updateMask="autoscaling")
    assert api.ask("DELETE", path, etag=present).status_code == 409


@pytest.mark.parametrize("mask", ["model", "config", "placement"])
def test_what_a_deployment_serves_can_not_be_changed(api: Api, weights: Path, mask: str) -> None:
    """Model and config are fixed for life (dossier 2.7)."""
    endpoint, deployment = api.served(weights)
    path = f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}"
    assert api.ask("PATCH", path, {"name": "x"}, updateMask=mask).status_code == 400


def test_an_idle_deployment_stops_itself(api: Api, clock: ManualClock, weights: Path) -> None:
    """After `inactiveTimeout` minutes without a request it stops; a request before that keeps it up."""
    model, _ = api.adapter(weights=weights)
    endpoint = api.endpoint()["id"]
    deployment = api.deployment(endpoint, model["id"], inactiveTimeout=30)["id"]
    api.route(endpoint, {deployment: 1})
    clock.advance(29 * 60)
    assert api.pictures("local/tok").status_code == 200
    clock.advance(29 * 60)
    assert api.state(endpoint, deployment) == "READY"
    clock.advance(60)
    assert api.state(endpoint, deployment) == "STOPPED"
    row = api.done("GET", f"/endpoints/{endpoint}/deployments/{deployment}")
    assert (row["autoscaling"]["minReplicas"], row["desiredReplicas"]) == (0, 0)


def test_a_window_to_zero_stops_it_too(api: Api, clock: ManualClock, weights: Path) -> None:
    """`scaleToZeroWindow` does the same as a timeout, on the seconds it names."""
    model, _ = api.adapter(weights=weights)
    endpoint = api.endpoint()["id"]
    scaling = {"minReplicas": 1, "scaleToZeroWindow": "90s"}
    deployment = api.deployment(endpoint, model["id"], autoscaling=scaling)["id"]
    clock.advance(89)
    assert api.state(endpoint, deployment) == "READY"
    clock.advance(1)
    assert api.state(endpoint, deployment) == "STOPPED"


@pytest.mark.parametrize("minutes", [1, 29, 1441, -1])
def test_a_timeout_outside_its_bounds_is_refused(api: Api, weights: Path, minutes: int) -> None:
    """`inactiveTimeout` is 0 or 30 to 1440 minutes."""
    model, _ = api.adapter(weights=weights)
    body = deployment_body(model["id"]) | {"inactiveTimeout": minutes}
    assert api.ask("POST", f"/endpoints/{api.endpoint()['id']}/deployments", body).status_code == 400


def test_the_base_alone_can_be_deployed(api: Api) -> None:
    """A deployment of the public base model needs no adapter and draws what the base draws."""
    endpoint = api.endpoint("plain")["id"]
    body = deployment_body("x") | {"model": "projects/proj_lorry/models/ml_flux_icons_64"}
    deployment = api.done("POST", f"/endpoints/{endpoint}/deployments", body)["id"]
    api.route(endpoint, {deployment: 1})
    data = api.pictures("local/plain").json()["data"][0]["b64_json"]
    assert data == api.pictures("lorry/flux-icons-64").json()["data"][0]["b64_json"]


def test_image_adapters_can_not_be_attached(api: Api, weights: Path) -> None:
    """Adapters on a running deployment are for text: the refusal says what to do instead."""
    endpoint, deployment = api.served(weights)
    path = f"/endpoints/{endpoint['id']}/deployments/{deployment['id']}/adapters"
    refused = api.ask("POST", path, {"adapterModelId": "ml_x"})
    assert refused.status_code == 400
    assert "deployment of its own" in refused.json()["message"]
    assert api.done("GET", path)["data"] == []


def test_many_looks_at_once_start_it_once(home: Path, clock: ManualClock, weights: Path) -> None:
    """However many look at the same time, it becomes ready once: one event, one loading."""
    with opened(home, clock, pace=Pace.seconds(10)) as api:
        model, _ = api.adapter(weights=weights)
        clock.advance(10)
        endpoint = api.endpoint()["id"]
        deployment = api.deployment(endpoint, model["id"])["id"]
        clock.advance(10)
        with ThreadPoolExecutor(8) as pool:
            states = list(pool.map(lambda _: api.state(endpoint, deployment), range(16)))
        assert states == ["READY"] * 16
        events = api.done("GET", f"/endpoints/{endpoint}/events", types="deployment.status_updated")["data"]
        assert len(events) == 1


def test_an_etag_is_of_what_was_asked_for(home: Path, clock: ManualClock, weights: Path) -> None:
    """Becoming ready does not change a deployment's etag: what was read at its creation still guards it."""
    with opened(home, clock, pace=Pace.looks(1)) as api:
        model, _ = api.adapter(weights=weights)
        for _ in range(2):
            api.done("GET", f"/models/{model['id']}/revisions")
        endpoint = api.endpoint()["id"]
        made = api.deployment(endpoint, model["id"])
        path = f"/endpoints/{endpoint}/deployments/{made['id']}"
        assert [api.state(endpoint, made["id"]) for _ in range(2)] == ["PROVISIONING", "READY"]
        body = {"inactiveTimeout": 60, "etag": made["etag"]}
        assert api.done("PATCH", path, body, updateMask="inactiveTimeout")["inactiveTimeout"] == 60
        assert api.ask("PATCH", path, body, updateMask="inactiveTimeout").status_code == 409


def test_the_history_tells_the_whole_story(home: Path, clock: ManualClock, weights: Path) -> None:
    """An endpoint's events name every step newest first, and can be filtered."""
    with opened(home, clock, renderer=partial(FlatRenderer, 1)) as api:
        endpoint, deployment = api.served(weights)
        path = f"/endpoints/{endpoint['id']}/events"
        types = [row["type"] for row in api.done("GET", path)["data"]]
        assert types == [
            "endpoint.updated",
            "deployment.status_updated",
            "deployment.created",
            "endpoint.created",
        ]
        (failure,) = api.done("GET", path, minLevel="LEVEL_ERROR")["data"]
        assert failure["deploymentId"] == deployment["id"]
        assert "predicted" in failure["message"]
        mine = api.done("GET", path, deploymentIds=deployment["id"], types="deployment.created")
        assert [row["name"] for row in mine["data"]] == ["one"]
        assert api.ask("GET", path, minLevel="LOUD").status_code == 400
