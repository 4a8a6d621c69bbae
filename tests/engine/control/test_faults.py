"""Faults on request, met through the official client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from together import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    RateLimitError,
    Together,
)

from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.samples import PICTURES, write_adapter

MINE, YOURS = "key-of-mine", "key-of-yours"


@pytest.fixture
def engine(home: Path) -> Iterator[RunningEngine]:
    """Give a running engine."""
    with running_engine(home) as running:
        yield running


def client(engine: RunningEngine, key: str = MINE, **more: Any) -> Together:
    """Give an official client that repeats nothing."""
    options = {"base_url": engine.url, "api_key": key, "project_id": engine.project, "max_retries": 0}
    return Together(**{**options, **more})


def fault(engine: RunningEngine, key: str = MINE, **wanted: Any) -> dict[str, Any]:
    """Ask for a fault."""
    answer = control(engine, "POST", "/faults", key, wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def control(
    engine: RunningEngine, method: str, path: str, key: str = MINE, body: Any = None
) -> httpx2.Response:
    """Ask the engine itself for something."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.request(method, f"{engine.url}/_lorry{path}", json=body, headers=headers)


def names(engine: RunningEngine, key: str = YOURS) -> list[str]:
    """List the endpoints by name, as a client that meets no fault sees them."""
    return [row.name for row in client(engine, key).endpoints.list()]


def test_a_refusal_does_nothing_and_is_over_after_its_times(engine: RunningEngine) -> None:
    """A refused create makes nothing; the request after the last time is answered as ever."""
    fault(engine, kind="refuse", method="POST", path="*/endpoints", status=503, times=2)
    for _ in range(2):
        with pytest.raises(InternalServerError):
            client(engine).endpoints.create(name="tok")
    assert names(engine) == []
    assert client(engine).endpoints.create(name="tok").name == "local/tok"


def test_a_rate_limit_carries_when_to_come_again(engine: RunningEngine) -> None:
    """A 429 has the status, the body and the `Retry-After` that were asked for."""
    fault(engine, kind="refuse", status=429, headers={"Retry-After": "7"}, body={"message": "slow down"})
    with pytest.raises(RateLimitError) as caught:
        client(engine).whoami()
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body == {"message": "slow down"}


def test_a_fault_belongs_to_the_key_that_asked_for_it(engine: RunningEngine) -> None:
    """Clients with other keys don't meet it, don't see it and don't clear it."""
    mine = fault(engine, kind="refuse", status=500, times=3)
    client(engine, YOURS).whoami()
    assert control(engine, "GET", "/faults", YOURS).json()["data"] == []
    assert control(engine, "DELETE", "/faults", YOURS).json() == {"cleared": 0}
    assert control(engine, "GET", "/faults").json()["data"] == [mine]
    assert control(engine, "DELETE", "/faults").json() == {"cleared": 1}
    client(engine).whoami()


def test_only_the_named_request_meets_a_fault(engine: RunningEngine) -> None:
    """Method and path choose the request, and `skip` lets the first ones pass."""
    fault(engine, kind="refuse", method="GET", path="*/endpoints", skip=1, status=500)
    official = client(engine)
    official.endpoints.create(name="tok")
    official.models.list()
    official.endpoints.list()
    with pytest.raises(InternalServerError):
        official.endpoints.list()
    official.endpoints.list()


@pytest.mark.parametrize("kind", ["cut", "garble"])
def test_a_torn_answer_comes_after_the_act(engine: RunningEngine, kind: str) -> None:
    """The endpoint is there although the client could not read the answer."""
    fault(engine, kind=kind, method="POST", path="*/endpoints")
    answer = None
    try:
        answer = client(engine).endpoints.with_raw_response.create(name="tok")
    except APIConnectionError:
        assert kind == "cut"
    if answer is not None:
        with pytest.raises(ValueError, match=r".+"):
            answer.json()
    assert names(engine) == ["local/tok"]


def test_a_lost_answer_is_a_time_out_after_the_act(engine: RunningEngine) -> None:
    """The client gives up waiting, and the endpoint is there."""
    fault(engine, kind="lose", method="POST", path="*/endpoints")
    with pytest.raises(APITimeoutError):
        client(engine, timeout=0.2).endpoints.create(name="tok")
    assert names(engine) == ["local/tok"]


def test_a_delay_only_takes_time(engine: RunningEngine) -> None:
    """A client that waits long enough is answered as ever, one that does not gives up."""
    fault(engine, kind="delay", seconds=0.05)
    client(engine).whoami()
    fault(engine, kind="delay", seconds=60)
    with pytest.raises(APITimeoutError):
        client(engine, timeout=0.1).whoami()


def deployed(
    engine: RunningEngine, tmp_path: Path, config: str = PICTURES.configs[0].id
) -> tuple[Together, str, Any]:
    """Bring an adapter to a deployment with the calls of the official client."""
    official = client(engine)
    model = official.models.create(name="tok", base_model_id=PICTURES.model_id, type="adapter")
    uploaded(engine, model.id, write_adapter(tmp_path / "tok"))
    endpoint = official.endpoints.create(name="tok")
    made = official.endpoints.deployments.create(
        endpoint.id,
        name="one",
        model=f"projects/{engine.project}/models/{model.id}",
        config=f"projects/proj_lorry/configs/{config}",
        autoscaling={"min_replicas": 1, "max_replicas": 1},
    )
    return official, endpoint.id, made


def uploaded(engine: RunningEngine, model: str, weights: Path) -> None:
    """Upload a file in one part."""
    from tests.engine.samples import part_hash

    data = weights.read_bytes()
    url = f"{engine.url}/v2/projects/{engine.project}/models/upload"
    headers = {"Authorization": f"Bearer {MINE}"}
    row = {"path": weights.name, "hash": part_hash(data), "numParts": 1}
    begun = httpx2.post(f"{url}/create", json={"objectId": model, "files": [row]}, headers=headers).json()
    plan = begun["files"][0]
    sent = httpx2.put(plan["parts"][0]["url"], content=data)
    parts = [{"partNumber": 1, "hash": sent.headers["etag"].strip('"')}]
    details = {"uploadId": plan["uploadId"], "parts": parts}
    done = {"path": weights.name, "hash": part_hash(data), "uploadDetails": details}
    answer = httpx2.post(f"{url}/complete", json={"objectId": model, "files": [done]}, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_deployment_fails_with_the_sentence_that_was_asked_for(
    engine: RunningEngine, tmp_path: Path
) -> None:
    """It is made, and its next state is FAILED for good."""
    fault(engine, kind="fail", message="Timed out waiting for readiness.")
    official, endpoint, made = deployed(engine, tmp_path)
    for _ in range(2):
        seen = official.endpoints.deployments.retrieve(made.id, endpoint_id=endpoint)
        assert (seen.status.state, seen.status.message) == (
            "DEPLOYMENT_STATE_FAILED",
            "Timed out waiting for readiness.",
        )


def test_exhausted_capacity_refuses_the_deployment(engine: RunningEngine, tmp_path: Path) -> None:
    """No deployment is made; the answer says that no hardware is free."""
    fault(engine, kind="capacity")
    with pytest.raises(APIStatusError, match="capacity") as caught:
        deployed(engine, tmp_path)
    assert caught.value.status_code == 503
    assert engine.counts()["deployments"] == 0


def test_a_revision_is_rejected_with_the_sentence_that_was_asked_for(
    engine: RunningEngine, tmp_path: Path
) -> None:
    """Validation fails, and its reasons are those of the fault."""
    fault(engine, kind="reject", message="model.layers.0 is corrupt.")
    official = client(engine)
    model = official.models.create(name="tok", base_model_id=PICTURES.model_id, type="adapter")
    uploaded(engine, model.id, write_adapter(tmp_path / "tok"))
    (row,) = official.models.list_revisions(model.id).data or []
    assert row.validation_status == "REVISION_VALIDATION_STATUS_FAILED"
    assert [problem.message for problem in row.validation_errors or []] == ["model.layers.0 is corrupt."]


def test_a_stuck_import_never_ends(engine: RunningEngine) -> None:
    """However often and late it is looked at, it has not ended."""
    fault(engine, kind="stick")
    official = client(engine)
    model = official.models.create(name="tok", base_model_id=PICTURES.model_id, type="adapter")
    job = official.models.remote_uploads.create(model_id=model.id, remote_url="local/nothing")
    for _ in range(5):
        engine.advance(86400)
        assert official.models.remote_uploads.retrieve(job.id).status == "REMOTE_UPLOAD_STATUS_PENDING"


def test_a_fault_that_can_t_be_meant_names_all_its_problems(engine: RunningEngine) -> None:
    """Kind, numbers and unknown fields are each told, and no fault waits afterwards."""
    answer = control(engine, "POST", "/faults", body={"kind": "explode"})
    assert answer.status_code == 400
    assert "refuse, delay, lose" in answer.json()["error"]
    wrong = {"kind": "refuse", "status": 200, "times": 0, "seconds": "long", "speed": 3}
    said = control(engine, "POST", "/faults", body=wrong).json()["error"]
    assert all(word in said for word in ("status is 200", "times is 0", "seconds is 'long'", "speed"))
    assert control(engine, "GET", "/faults").json()["data"] == []


def test_control_needs_a_key(engine: RunningEngine) -> None:
    """Without a key nothing is asked of the engine itself."""
    assert httpx2.get(f"{engine.url}/_lorry/faults").status_code == 401
