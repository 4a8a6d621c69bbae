"""What an engine has, it has again after it ended, however it ended."""

from __future__ import annotations

from pathlib import Path

from lorry.engine.clock import ManualClock
from lorry.engine.pace import Pace
from tests.engine.conftest import opened
from tests.engine.samples import part_hash


def test_a_ready_deployment_answers_after_a_restart(home: Path, clock: ManualClock, weights: Path) -> None:
    """Models, routing and readiness survive; the adapter is loaded again when it is first needed."""
    with opened(home, clock) as api:
        endpoint, deployment = api.served(weights)
        before = api.pictures("local/tok").json()["data"]
        url = api.pictures("local/tok", response_format="url").json()["data"][0]["url"]
    with opened(home, clock) as api:
        assert api.state(endpoint["id"], deployment["id"]) == "READY"
        assert api.pictures("local/tok").json()["data"] == before
        assert api.client.get(url).status_code == 200


def test_a_phase_goes_on_where_it_stood(home: Path, clock: ManualClock, weights: Path) -> None:
    """Looks and times are stored: a restart neither shortens a phase nor begins it again."""
    pace = Pace(after_looks=2, after_seconds=60)
    with opened(home, clock, pace=pace) as api:
        model, _ = api.adapter(weights=weights)
        path = f"/models/{model['id']}/revisions"
        assert api.done("GET", path)["data"][0]["validationStatus"].endswith("PENDING")
        clock.advance(60)
    with opened(home, clock, pace=pace) as api:
        assert api.done("GET", path)["data"][0]["validationStatus"].endswith("PENDING")
        assert api.done("GET", path)["data"][0]["validationStatus"].endswith("SUCCESS")


def test_old_requests_are_forgotten(home: Path, clock: ManualClock, weights: Path) -> None:
    """What analytics count is kept for 30 days, so that a busy home does not grow without end."""
    with opened(home, clock) as api:
        endpoint, _ = api.served(weights)
        assert api.pictures("local/tok").status_code == 200
        clock.advance(29 * 86400)
        assert api.pictures("local/tok").status_code == 200
    path = f"/endpoints/{endpoint['id']}/analytics"
    for days, left in ((0, "2"), (2, "1")):
        clock.advance(days * 86400)
        with opened(home, clock) as api:
            answer = api.done("GET", path, startTime="2026-01-01T00:00:00Z")
            assert answer["metrics"]["requestMetrics"]["totalRequests"] == left


def test_an_upload_goes_on_after_a_restart(home: Path, clock: ManualClock, weights: Path) -> None:
    """A part that was taken before the restart need not be sent again."""
    data = weights.read_bytes()
    with opened(home, clock) as api:
        model = api.model()["id"]
        (plan,) = api.open_upload(model, {"w.safetensors": (part_hash(data), 1)})
        tag = api.client.put(plan["parts"][0]["url"], content=data).headers["ETag"].strip('"')
    with opened(home, clock) as api:
        details = {"uploadId": plan["uploadId"], "parts": [{"partNumber": 1, "hash": tag}]}
        entry = {"path": "w.safetensors", "hash": part_hash(data), "uploadDetails": details}
        api.done("POST", "/models/upload/complete", {"objectId": model, "files": [entry]})
        assert len(api.done("GET", f"/models/{model}/revisions")["data"]) == 1
