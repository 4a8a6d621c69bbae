"""The queue through the unmodified official client, and through workers that pull from it."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from together import ConflictError, NotFoundError, Together, omit
from together.types.beta.jig import QueueRetrieveResponse

from lorry.engine.containers.jobs import CLAIM_SECONDS, KEPT_JOBS
from lorry.engine.containers.records import ContainerShelves, JobRecord
from lorry.engine.testing import RunningEngine
from tests.engine.containers.conftest import EXAMPLES, Deploy

HEADERS = {"Authorization": "Bearer any"}
NAME = "tok-worker"


@pytest.fixture
def worker(engine: RunningEngine) -> Iterator[httpx.Client]:
    """Give a worker's side of the queue's HTTP."""
    with httpx.Client(base_url=engine.url, headers=HEADERS) as client:
        yield client


def pulled(worker: httpx.Client, *, claim: int | None = None, host: str = "one") -> dict[str, Any] | None:
    """Ask for the next job without waiting for one."""
    query: dict[str, Any] = {"model": NAME, "hostname": host, "timeout": "0s"}
    answer = worker.get(
        "/internal/v1/queue/retrieve", params=query | ({"claim_timeout": claim} if claim else {})
    )
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] | None = answer.json()["data"]
    return job


def reported(worker: httpx.Client, job: str, status: str, **more: Any) -> int:
    """Report on a job; gives the status code."""
    body = {"model": NAME, "request_id": job, "status": status, "payload": {}} | more
    return worker.post("/internal/v1/videos/status", json=body).status_code


@pytest.fixture
def submit(together: Together, worker: httpx.Client) -> Any:
    """Give what submits a job to a queue from which a worker outside pulls."""
    assert pulled(worker) is None  # it is known from now on

    def run(priority: int | None = None, **payload: Any) -> str:
        return together.beta.jig.queue.submit(
            model=NAME, payload=payload, info={"by": "me"}, priority=omit if priority is None else priority
        ).request_id

    return run


def looked(together: Together, job: str) -> QueueRetrieveResponse:
    """Look at a job."""
    return together.beta.jig.queue.retrieve(model=NAME, request_id=job)


def ended(together: Together, job: str) -> QueueRetrieveResponse:
    """Look at a job until it has ended; every look is an HTTP request, which is pause enough."""
    while (found := looked(together, job)).status in ("pending", "running"):
        pass
    return found


def test_a_job_goes_its_way(together: Together, worker: httpx.Client, submit: Any) -> None:
    """Pending, running with progress, done: what the client knows of a job is there in time."""
    job = submit(prompt="a cat", priority=3)
    waiting = looked(together, job)
    assert (waiting.status, waiting.inputs, waiting.info, waiting.priority, waiting.retries) == (
        "pending",
        {"prompt": "a cat"},
        {"by": "me"},
        3,
        0,
    )
    given = pulled(worker)
    assert given is not None
    assert (given["request_id"], given["payload"]) == (job, {"prompt": "a cat"})
    assert reported(worker, job, "running", info={"progress": 0.5}) == 200
    running = looked(together, job)
    assert (running.status, running.info) == ("running", {"by": "me", "progress": 0.5})
    assert running.claimed_at
    assert reported(worker, job, "done", payload={"answer": 42}) == 200
    done = looked(together, job)
    assert (done.status, done.outputs) == ("done", {"answer": 42})
    assert done.done_at
    assert reported(worker, job, "done") == 409  # what has ended stays as it is


def test_priorities_first_then_the_oldest(worker: httpx.Client, submit: Any) -> None:
    """The highest priority goes first; among equals who came first."""
    jobs = [submit(priority=priority, number=number) for number, priority in enumerate((0, 5, None, 5, -1))]
    order = [(pulled(worker) or {})["request_id"] for _ in jobs]
    assert order == [jobs[number] for number in (1, 3, 0, 2, 4)]
    assert pulled(worker) is None


def test_only_pending_jobs_are_canceled(together: Together, worker: httpx.Client, submit: Any) -> None:
    """Canceling a pending job does; for a running one the answer is 409 with its state, and it goes on."""
    queue = together.beta.jig.queue
    first, second = submit(), submit()
    assert queue.cancel(model=NAME, request_id=second).status == "canceled"
    assert looked(together, second).status == "canceled"
    assert (pulled(worker) or {})["request_id"] == first
    for job, state in ((first, "running"), (second, "canceled")):
        with pytest.raises(ConflictError) as refused:
            queue.cancel(model=NAME, request_id=job)
        assert refused.value.response.json() == {"status": state}
    assert reported(worker, first, "done") == 200
    assert pulled(worker) is None


def test_counts_and_clearing(together: Together, worker: httpx.Client, submit: Any) -> None:
    """Metrics count what waits and what runs; clearing cancels what waits and nothing else."""
    queue = together.beta.jig.queue
    for _ in range(3):
        submit()
    pulled(worker)
    counts = queue.metrics(model=NAME)
    assert (counts.messages_running, counts.messages_waiting, counts.total_jobs) == (1, 2, 3)
    assert queue.clear(model=NAME).canceled_count == 2
    counts = queue.metrics(model=NAME)
    assert (counts.messages_running, counts.messages_waiting, counts.total_jobs) == (1, 0, 1)


def test_a_job_whose_worker_is_silent_goes_back(
    engine: RunningEngine, together: Together, worker: httpx.Client, submit: Any
) -> None:
    """A claim that runs out puts the job back, with a warning; three retries later it has failed for good."""
    job = submit()
    for retry in range(4):
        assert (pulled(worker, claim=90) or {})["request_id"] == job
        engine.advance(89)
        assert looked(together, job).status == "running"
        assert reported(worker, job, "running") == 200  # the claim begins anew
        engine.advance(89)
        assert looked(together, job).status == "running"
        engine.advance(1)
        found = looked(together, job)
        assert found.status == ("pending" if retry < 3 else "failed")
    assert found.retries == 3
    assert "said nothing for 90 s" in (found.warnings or [""])[0]
    assert "retried 3 times" in str((found.info or {})["error"])


def test_a_late_report_is_refused(
    engine: RunningEngine, together: Together, worker: httpx.Client, submit: Any
) -> None:
    """Who lost a claim can't end the job any more: another worker may be at it."""
    job = submit()
    pulled(worker)
    engine.advance(CLAIM_SECONDS)
    assert reported(worker, job, "done", payload={"late": True}) == 409
    assert (looked(together, job).status, looked(together, job).outputs) == ("pending", None)


def test_a_failed_job_is_not_retried(together: Together, worker: httpx.Client, submit: Any) -> None:
    """What a worker fails stays failed, with what it said."""
    job = submit()
    pulled(worker)
    reported(worker, job, "failed", info={"error": "no"})
    assert (looked(together, job).status, looked(together, job).info) == (
        "failed",
        {"by": "me", "error": "no"},
    )
    assert pulled(worker) is None


def test_unknown_names_are_refused(together: Together, submit: Any) -> None:
    """A queue that nobody has, a job of another queue, and a job that never was are all 404."""
    queue = together.beta.jig.queue
    with pytest.raises(NotFoundError, match="deployment named nobody"):
        queue.submit(model="nobody", payload={})
    job = submit()
    for model, request in (("nobody", job), (NAME, "req_none")):
        with pytest.raises(NotFoundError):
            queue.retrieve(model=model, request_id=request)


def test_a_request_for_a_job_is_held_open(
    engine: RunningEngine, together: Together, worker: httpx.Client, submit: Any
) -> None:
    """A worker that asks before there is a job gets it as soon as it comes."""
    asked: list[httpx.Response] = []

    def ask() -> None:
        query = {"model": NAME, "timeout": "30s"}
        asked.append(
            httpx.get(f"{engine.url}/internal/v1/queue/retrieve", params=query, headers=HEADERS, timeout=60)
        )

    waiting = threading.Thread(target=ask)
    waiting.start()
    job = submit()
    waiting.join()
    assert asked[0].json()["data"]["request_id"] == job
    assert (
        worker.get("/internal/v1/queue/retrieve", params={"model": NAME, "timeout": "soon"}).status_code
        == 400
    )


def test_the_engine_works_on_the_queue_of_its_own_container(together: Together, deploy: Deploy) -> None:
    """A job for a container of ours is drawn by the worker in the engine; a bad one fails with its error."""
    deploy()
    queue = together.beta.jig.queue
    good = queue.submit(model=NAME, payload={"prompt": "a cat", "seed": 1, "n": 2}).request_id
    done = ended(together, good)
    assert done.status == "done", done.info
    rows: Any = (done.outputs or {})["images"]
    for row in rows:
        assert hashlib.sha256(base64.b64decode(row["b64_json"])).hexdigest() == row["sha256"]
    bad = queue.submit(model=NAME, payload={"prompt": "a cat", "lora": "tok"}).request_id
    failed = ended(together, bad)
    assert failed.status == "failed"
    assert (failed.info or {})["error"] == (failed.outputs or {})["error"]
    assert (failed.info or {})["error"]["code"] == "option_invalid"  # type: ignore[index]
    lines = together.beta.jig.retrieve_logs(NAME).lines or []
    assert [line.partition(" ")[2] for line in lines[1:]] == [
        f"job {good} done",
        f"job {bad} failed: option_invalid",
    ]


def test_a_worker_outside_has_the_queue_to_itself(
    engine: RunningEngine, together: Together, deploy: Deploy, worker: httpx.Client
) -> None:
    """While a worker pulls, the engine's own leaves the queue to it; when it is gone, it takes over."""
    deploy()
    assert pulled(worker) is None
    job = together.beta.jig.queue.submit(model=NAME, payload={"prompt": "a cat"}).request_id
    assert looked(together, job).status == "pending"
    engine.advance(31)
    assert ended(together, job).status == "done"


def test_a_destroyed_container_leaves_no_waiting_jobs(
    together: Together, deploy: Deploy, worker: httpx.Client
) -> None:
    """Jobs that wait when their container is destroyed are canceled."""
    deploy()
    pulled(worker)
    job = together.beta.jig.queue.submit(model=NAME, payload={}).request_id
    together.beta.jig.destroy(NAME)
    assert looked(together, job).status == "canceled"


def test_old_jobs_are_forgotten(engine: RunningEngine, submit: Any, together: Together) -> None:
    """Only so many finished jobs of a queue are remembered, so that it never grows without end."""
    first = submit()
    together.beta.jig.queue.cancel(model=NAME, request_id=first)
    shelves = ContainerShelves(engine.engine.works.documents)
    at = "2026-11-02T12:00:00Z"
    with engine.engine.works.documents.transaction():
        for number in range(KEPT_JOBS - 1):
            shelves.jobs.put(JobRecord(f"req_{number:04}", NAME, {}, {}, 0, "done", at))
    assert looked(together, first).status == "canceled"
    submit()
    with pytest.raises(NotFoundError):
        looked(together, first)


def test_direct_requests_reach_the_worker(engine: RunningEngine, together: Together, deploy: Deploy) -> None:
    """`/v1/deployment-request/NAME/…` is the worker's own HTTP; a container without a replica says so."""
    url = f"{engine.url}/v1/deployment-request/{NAME}"
    assert httpx.get(f"{url}/health", headers=HEADERS).status_code == 404
    deploy()
    assert httpx.get(f"{url}/health", headers=HEADERS).json() == {"status": "healthy"}
    assert httpx.get(f"{url}/metrics", headers=HEADERS).text == "requests_inflight 0.0\n"
    drawn = httpx.post(f"{url}/generate", json={"prompt": "a cat"}, headers=HEADERS)
    assert drawn.json()["base"] == "lorry/flux-icons-64"
    assert httpx.get(f"{url}/nothing", headers=HEADERS).status_code == 404
    together.beta.jig.update(NAME, min_replicas=0, max_replicas=0)
    gone = httpx.post(f"{url}/generate", json={"prompt": "a cat"}, headers=HEADERS)
    assert (gone.status_code, gone.json()["error"]["code"]) == (503, "no_ready_replica")


def test_a_lora_comes_from_a_volume(together: Together, engine: RunningEngine, deploy: Deploy) -> None:
    """Files that were sent to the storage lie in the container's folder, and act."""
    send(engine, "loras/0/tok.safetensors", (EXAMPLES / "tok/pytorch_lora_weights.safetensors").read_bytes())
    together.beta.jig.volumes.create(
        name="loras", type="readOnly", content={"type": "files", "source_prefix": "loras/0"}
    )
    deploy(volumes=[{"name": "loras", "mount_path": "/volumes/loras"}])
    payload: dict[str, object] = {"prompt": "TOK", "seed": 1}
    lora = {"path": "/volumes/loras/tok.safetensors"}
    with_, zero, without = (
        ended(together, together.beta.jig.queue.submit(model=NAME, payload=payload | more).request_id)
        for more in ({"loras": [lora]}, {"loras": [lora | {"scale": 0}]}, {})
    )
    digests = [one.outputs["images"][0]["sha256"] for one in (with_, zero, without) if one.outputs]  # type: ignore[index]
    assert digests[1] == digests[2] != digests[0]
    assert (with_.outputs or {})["loras"][0]["layers"] == 54  # type: ignore[index]


def send(engine: RunningEngine, name: str, data: bytes) -> None:
    """Send a file to the storage."""
    asked = httpx.post(
        f"{engine.url}/v1/storage/upload-request", json={"filename": name}, headers=HEADERS
    ).json()
    place = asked["upload_url"]
    assert (
        httpx.request(place["method"], place["url"], content=data, headers=place["headers"]).status_code
        == 200
    )


def test_private_addresses_are_not_asked_whatever_the_variables_say(
    engine: RunningEngine, together: Together, deploy: Deploy
) -> None:
    """A container's variables can't make the engine ask this machine, except for the engine's own Hub."""
    deploy(
        environment_variables=[
            {"name": "LORRY_BASE", "value": "lorry/flux-icons-64"},
            {"name": "LORRY_ALLOW_PRIVATE_ADDRESSES", "value": "true"},
            {"name": "LORRY_HUB_URL", "value": "http://127.0.0.1:9"},
        ]
    )
    for path in (
        "https://127.0.0.1:9/x.safetensors",
        "http://127.0.0.1:9/owner/name/resolve/main/x.safetensors",
    ):
        payload: dict[str, object] = {"prompt": "a cat", "loras": [{"path": path}]}
        failed = ended(together, together.beta.jig.queue.submit(model=NAME, payload=payload).request_id)
        assert failed.status == "failed"
        assert (failed.info or {})["error"]["code"] in ("weights_rejected", "option_invalid")  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the Hub's client, at its upload
def test_a_lora_comes_from_the_engines_own_hub(
    engine: RunningEngine, together: Together, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the engine's own address as Hub, a file of a repository on it is fetched and acts."""
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # read once, when the client is imported
    hub = HfApi(endpoint=engine.url, token="any")  # noqa: S106
    hub.create_repo("local/tok")
    hub.upload_file(
        path_or_fileobj=(EXAMPLES / "tok/pytorch_lora_weights.safetensors").read_bytes(),
        path_in_repo="pytorch_lora_weights.safetensors",
        repo_id="local/tok",
    )
    deploy(
        environment_variables=[
            {"name": "LORRY_BASE", "value": "lorry/flux-icons-64"},
            {"name": "LORRY_HUB_URL", "value": engine.url},
        ]
    )
    path = f"{engine.url}/local/tok/resolve/main/pytorch_lora_weights.safetensors"
    payload: dict[str, object] = {"prompt": "TOK", "loras": [{"path": path}]}
    done = ended(together, together.beta.jig.queue.submit(model=NAME, payload=payload).request_id)
    assert done.status == "done", done.info


def test_pictures_go_to_the_storage(engine: RunningEngine, together: Together, deploy: Deploy) -> None:
    """A job that wants addresses gets one at the engine, and the picture is there."""
    deploy()
    payload: dict[str, object] = {"prompt": "a cat", "response_format": "url"}
    done = ended(together, together.beta.jig.queue.submit(model=NAME, payload=payload).request_id)
    row: Any = (done.outputs or {})["images"][0]  # type: ignore[index]
    assert row["url"].startswith(f"{engine.url}/v1/storage/")
    fetched = httpx.get(row["url"], headers=HEADERS).content
    assert hashlib.sha256(fetched).hexdigest() == row["sha256"]
