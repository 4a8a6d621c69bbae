"""Remote uploads: every state that the platform gives, and the errors that failed ones are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lorry.delivery.ports import ImportState, Platform
from lorry.errors import ArchiveLayout, ImportFailed, LinkExpired, LorryError, SourcePrivate
from tests.platforms.stand_in import StandIn

UPLOADS = "/v2/projects/proj_1/models/uploads"
JSON = "application/json"
REPO = "https://huggingface.co/owner/name"
ARCHIVE = "https://bucket.example.com/adapter.tar.gz?X-Amz-Signature=abc"


def _job(said: str, **fields: Any) -> dict[str, Any]:
    row = {"id": "job_1", "modelId": "ml_1", "remoteUrl": REPO, "createdAt": "2026-11-01T00:00:00Z"}
    return {**row, "status": f"REMOTE_UPLOAD_STATUS_{said}", **fields}


def _listed(server: StandIn, *rows: dict[str, Any], cursor: str = "") -> None:
    body = json.dumps({"object": "list", "data": rows, "next_cursor": cursor}).encode()
    server.instead.append((UPLOADS, 200, body, JSON))


@pytest.mark.parametrize(
    ("said", "fields", "state"),
    [
        ("PENDING", {}, ImportState.RUNNING),
        ("RUNNING", {}, ImportState.RUNNING),
        ("SUCCEEDED", {}, ImportState.DONE),
        ("FAILED", {}, ImportState.FAILED),
        ("FAILED", {"restartCount": 0, "maxRestarts": 3}, ImportState.FAILED),
        ("ERROR", {"restartCount": 1, "maxRestarts": 3}, ImportState.RUNNING),
        ("ERROR", {"restartCount": 3, "maxRestarts": 3}, ImportState.FAILED),
        ("ERROR", {"maxRestarts": 3}, ImportState.RUNNING),
        ("ERROR", {}, ImportState.FAILED),
        ("THINKING", {}, ImportState.RUNNING),
    ],
)
async def test_every_state_of_a_job_is_read(
    platform: Platform, server: StandIn, said: str, fields: dict[str, Any], state: ImportState
) -> None:
    """The five of the dossier (2.4): an error ends a job once no restart is left."""
    _listed(server, _job(said, **fields))
    (found,) = await platform.registry.imports("ml_1")
    assert found.state is state
    assert found.said == f"REMOTE_UPLOAD_STATUS_{said}"
    assert (found.fault is not None) is (state is ImportState.FAILED)


@pytest.mark.parametrize(
    ("source", "message", "fault"),
    [
        (REPO, "401 Client Error: repository is gated", SourcePrivate),
        (REPO, "the connection was reset", ImportFailed),
        (ARCHIVE, "403 Forbidden: Request has expired", LinkExpired),
        (ARCHIVE, "adapter_config.json not found at the root of the archive", ArchiveLayout),
        (REPO, "", ImportFailed),
    ],
)
async def test_a_failed_job_is_the_error_that_its_words_tell(
    platform: Platform, server: StandIn, source: str, message: str, fault: type[LorryError]
) -> None:
    """The source decides which words can mean what; the permission in its address is not told."""
    _listed(server, _job("FAILED", remoteUrl=source, statusMessage=message))
    (found,) = await platform.registry.imports("ml_1")
    assert (found.fault, found.message) == (fault, message)
    assert "Signature" not in found.source


async def test_the_newest_job_of_the_model_comes_first(platform: Platform, server: StandIn) -> None:
    """Over all pages, and without those of other models."""
    days = {f"job_{day}": f"2026-11-0{day}T00:00:00Z" for day in (2, 1, 3)}
    first, second, third = (_job("RUNNING", id=name, createdAt=at) for name, at in days.items())
    _listed(server, first, _job("RUNNING", id="job_other", modelId="ml_2"), cursor="more")
    _listed(server, second, third)
    found = await platform.registry.imports("ml_1")
    assert [each.id for each in found] == ["job_3", "job_2", "job_1"]


@pytest.mark.parametrize("token", [None, "hf_secret"])
async def test_a_token_goes_along_only_where_there_is_one(
    platform: Platform, server: StandIn, token: str | None
) -> None:
    """The whole address is sent; without a token the field is left out."""
    server.instead.append((UPLOADS, 200, json.dumps(_job("PENDING")).encode(), JSON))
    made = await platform.registry.fetch("ml_1", ARCHIVE, token)
    assert (made.id, made.state) == ("job_1", ImportState.RUNNING)
    body = {"modelId": "ml_1", "remoteUrl": ARCHIVE}
    assert server.seen[-1].json == (body | {"token": token} if token else body)
