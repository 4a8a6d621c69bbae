"""Containers through the unmodified official client: their life, their revisions, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from together import BadRequestError, ConflictError, NotFoundError, Together
from together.types.beta import Deployment, DeploymentRevision

from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.containers.conftest import BASE, IMAGE, Deploy, client_of, spec


def test_a_container_lives_and_ends(together: Together, deploy: Deploy) -> None:
    """Created, found by id and by name, listed, with a running replica; destroyed and gone."""
    made = deploy(min_replicas=1, max_replicas=3, description="one")
    assert (made.name, made.image, made.status, made.ready_replicas) == ("tok-worker", IMAGE, "Ready", 1)
    assert made.id
    for key in (made.id, "tok-worker"):
        found = together.beta.jig.retrieve(key)
        assert (found.id, found.max_replicas, found.description) == (made.id, 3, "one")
    assert [one.id for one in together.beta.jig.list().data or []] == [made.id]
    (event,) = (made.replica_events or {}).values()
    revision = {row.name: row.value for row in made.environment_variables or []}[
        "TOGETHER_DEPLOYMENT_REVISION_ID"
    ]
    assert (event.replica_status, event.revision_id) == ("Running", revision)
    assert event.replica_ready_since
    together.beta.jig.destroy("tok-worker")
    with pytest.raises(NotFoundError):
        together.beta.jig.retrieve("tok-worker")


def test_an_image_that_is_not_ours_fails_and_says_why(together: Together, deploy: Deploy) -> None:
    """The engine runs no Docker, and says so in the state, the replica's events and the logs."""
    made = deploy(image="registry.together.xyz/local/other:1")
    assert (made.status, made.ready_replicas) == ("Failed", 0)
    (event,) = (made.replica_events or {}).values()
    assert event.replica_status_reason == "ImagePullBackOff"
    assert "runs no Docker" in (event.replica_status_message or "")
    assert "runs no Docker" in (together.beta.jig.retrieve_logs("tok-worker").lines or [""])[0]


def test_a_base_that_is_not_here_is_a_crash_loop(together: Together, deploy: Deploy) -> None:
    """A worker that can't open its base does not run, as in a real container."""
    made = deploy(environment_variables=[{"name": "LORRY_BASE", "value": "black-forest-labs/FLUX.1-dev"}])
    (event,) = (made.replica_events or {}).values()
    assert (made.status, event.replica_status_reason) == ("Failed", "CrashLoopBackOff")
    assert "no weights of black-forest-labs/FLUX.1-dev" in (event.replica_status_message or "")


def test_every_change_is_a_revision(together: Together, deploy: Deploy) -> None:
    """An update makes a revision, the same update again none, and a rollback makes the first active again."""
    jig = together.beta.jig
    first = deploy()
    jig.update("tok-worker", description="two", cpu=2)
    jig.update("tok-worker", description="two")
    events = jig.list_revisions("tok-worker").data
    assert [(event.event_number, event.action, event.revision_number) for event in events] == [
        (2, "update", 2),
        (1, "create", 1),
    ]
    back = jig.rollback("tok-worker", revision_identifier="1")
    assert (back.description, back.cpu, back.id) == ("", 1, first.id)
    assert jig.list_revisions("tok-worker", limit=1).data[0].action == "rollback"
    assert [event.event_number for event in jig.list_revisions("tok-worker", before=3).data] == [2, 1]
    revision = jig.retrieve_revision("2", id="tok-worker")
    assert (revision.cpu, revision.revision_id) == (2, events[0].revision_id)
    DeploymentRevision.model_validate(revision.to_dict(mode="json"), strict=False)
    with pytest.raises(NotFoundError):
        jig.retrieve_revision("9", id="tok-worker")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "no"}, "can't be the name"),
        ({"name": "Tok_worker"}, "can't be the name"),
        ({"min_replicas": 2}, "one machine"),
        ({"min_replicas": 1, "max_replicas": 0}, "above max_replicas"),
        ({"gpu_type": "h100-80"}, "gpu_type"),
        ({"image": ""}, "image"),
        ({"autoscaling": {"metric": "Mood"}}, "no metric"),
        ({"autoscaling": {"metric": "HTTPTotalRequests", "custom_metric_name": "x"}}, "custom_metric_name"),
        ({"autoscaling": {"metric": "CustomMetric"}}, "Prometheus"),
        ({"autoscaling": {"metric": "QueueBacklogPerWorker", "target": 0}}, "target"),
        ({"autoscaling": {"metric": "HTTPTotalRequests", "time_interval_minutes": 0}}, "time_interval"),
        ({"environment_variables": [{"name": "1A", "value": "x"}]}, "can't be set"),
        ({"environment_variables": [{"name": "A"}]}, "either a value"),
        ({"environment_variables": [{"name": "A", "value_from_secret": "none"}]}, "secret none"),
        ({"volumes": [{"name": "none", "mount_path": "/v"}]}, "volume none"),
        ({"volumes": [{"name": "none", "mount_path": "v"}]}, "absolute path"),
        ({"model_mounts": [{"model_id": "ml_none", "mount_path": "/m"}]}, "ml_none"),
        ({"model_mounts": [{"model_id": "ml_1", "mount_path": "/m"}] * 2}, "One model"),
    ],
)
def test_what_cannot_be_is_refused(
    together: Together, deploy: Deploy, change: dict[str, Any], said: str
) -> None:
    """A create that makes no sense is refused with a sentence that names what is wrong, and makes nothing."""
    with pytest.raises((BadRequestError, NotFoundError)) as refused:
        deploy(**change)
    assert said in str(refused.value)
    assert together.beta.jig.list().data == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"metric": "QueueBacklogPerWorker", "model": "x"}, {"target": 1.01, "model": "x"}),
        (
            {"metric": "HTTPTotalRequests", "time_interval_minutes": 5},
            {"target": 100, "time_interval_minutes": 5},
        ),
        ({"metric": "HTTPAvgRequestDuration", "target": 80}, {"target": 80}),
        ({"metric": "CustomMetric", "custom_metric_name": "jobs:x"}, {"target": 500}),
    ],
)
def test_the_shapes_of_autoscaling(
    engine: RunningEngine, deploy: Deploy, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    """All three shapes are kept, with the documented target where none is given."""
    deploy(autoscaling=given)
    answer = httpx.get(f"{engine.url}/v1/deployments/tok-worker", headers={"Authorization": "Bearer any"})
    assert answer.json()["autoscaling"] == given | kept


def test_names_are_unique_and_fixed(together: Together, deploy: Deploy) -> None:
    """A second container of the same name is a conflict, and a name can't be changed."""
    deploy()
    with pytest.raises(ConflictError, match="already exists"):
        deploy()
    with pytest.raises(BadRequestError, match="can't be changed"):
        together.beta.jig.update("tok-worker", name="other-name")


def test_a_key_is_needed(engine: RunningEngine) -> None:
    """Nothing about containers answers without a key."""
    paths = (
        "/v1/deployments",
        "/v1/deployments/secrets",
        "/v1/deployments/storage/volumes",
        "/v1/storage/x",
        "/v1/queue/metrics?model=x",
        "/internal/v1/queue/retrieve?model=x",
        "/v1/image-repositories/base-path",
        "/v1/deployment-request/x/health",
    )
    for path in paths:
        assert httpx.get(engine.url + path).status_code == 401, path


def test_states_advance_with_the_pace(home: Path) -> None:
    """A container that starts slowly is Updating first, with a replica that waits, then Ready."""
    with running_engine(home, pace=Pace.looks(2)) as engine, client_of(engine) as together:
        made = together.beta.jig.deploy(**spec())
        states = [made, *(together.beta.jig.retrieve("tok-worker") for _ in range(3))]
        assert [state.status for state in states] == ["Updating", "Updating", "Updating", "Ready"]
        (event,) = (states[1].replica_events or {}).values()
        assert (event.replica_status, event.replica_status_reason) == ("Waiting", "ContainerCreating")


def test_what_may_have_no_replica_falls_asleep_and_wakes(
    engine: RunningEngine, together: Together, deploy: Deploy
) -> None:
    """Ten quiet minutes scale a container with min_replicas 0 to zero; a job wakes it and is done."""
    deploy(min_replicas=0, max_replicas=1)
    engine.advance(599)
    assert together.beta.jig.retrieve("tok-worker").status == "Ready"
    engine.advance(2)
    asleep = together.beta.jig.retrieve("tok-worker")
    assert (asleep.status, asleep.desired_replicas, asleep.replica_events) == ("ScaledToZero", 0, {})
    together.beta.jig.queue.submit(model="tok-worker", payload={"prompt": "a cat"})
    assert together.beta.jig.retrieve("tok-worker").status == "Ready"


def test_a_container_without_replicas_stays_asleep(together: Together, deploy: Deploy) -> None:
    """With max_replicas 0 nothing runs, whatever is asked."""
    assert deploy(min_replicas=0, max_replicas=0).status == "ScaledToZero"
    together.beta.jig.queue.submit(model="tok-worker", payload={})
    assert together.beta.jig.retrieve("tok-worker").status == "ScaledToZero"


def test_logs_are_told_apart(together: Together, deploy: Deploy) -> None:
    """Lines come by revision, replica and image, and those of another are left out."""
    jig = together.beta.jig
    deploy()
    (replica,) = jig.retrieve("tok-worker").replica_events or {}
    first = jig.list_revisions("tok-worker").data[0].revision_id
    assert (jig.retrieve_logs("tok-worker", revision=first).lines or [])[0].endswith(f"ready with {BASE}")
    assert jig.retrieve_logs("tok-worker", replica_id=replica).lines
    assert jig.retrieve_logs("tok-worker", version="latest").lines
    assert jig.retrieve_logs("tok-worker", revision="x").lines == []
    assert jig.retrieve_logs("tok-worker", replica_id="x").lines == []
    assert jig.retrieve_logs("tok-worker", version="1234").lines == []


def test_a_restart_finds_everything_as_it_was(home: Path) -> None:
    """Containers, and the jobs that wait for them, outlive the engine; a ready one works again at once."""
    with running_engine(home) as engine, client_of(engine) as together:
        together.beta.jig.deploy(**spec())
        together.beta.jig.deploy(**spec(name="later", min_replicas=0, max_replicas=0))
        waiting = together.beta.jig.queue.submit(model="later", payload={"prompt": "a cat"}).request_id
    with running_engine(home) as engine, client_of(engine) as together:
        assert {one.name: one.status for one in together.beta.jig.list().data or []} == {
            "tok-worker": "Ready",
            "later": "ScaledToZero",
        }
        assert together.beta.jig.queue.retrieve(model="later", request_id=waiting).status == "pending"
        health = httpx.get(
            f"{engine.url}/v1/deployment-request/tok-worker/health", headers={"Authorization": "Bearer any"}
        )
        assert health.json() == {"status": "healthy"}


def test_answers_have_the_clients_own_fields(engine: RunningEngine, deploy: Deploy) -> None:
    """What the engine answers about a container has no field that the official client does not know."""
    deploy(autoscaling={"metric": "QueueBacklogPerWorker"})
    raw = httpx.get(f"{engine.url}/v1/deployments/tok-worker", headers={"Authorization": "Bearer any"}).json()
    known = {field.alias or name for name, field in Deployment.model_fields.items()}
    assert set(raw) <= known
