"""Remote uploads of archives: those in the engine's own storage, laid out as Together wants them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lorry.engine.testing import RunningEngine, running_engine
from lorry.engine.together.archives import archive_name
from lorry.errors import ArchiveLayout, LinkExpired
from lorry.platforms.together.outcomes import job_error
from tests.engine.samples import WORDS
from tests.engine.strict import strict_client

DISPATCH = Path(__file__).parents[2] / "examples" / "dispatch"
FILES = ("adapter_config.json", "adapter_model.safetensors")
KEY = {"Authorization": "Bearer any"}


@pytest.fixture
def engine(home: Path) -> Iterator[RunningEngine]:
    """Give a running engine."""
    with running_engine(home) as running:
        yield running


def zipped(prefix: str = "") -> bytes:
    """Pack the sample adapter into a zip, below a folder when one is named."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in FILES:
            packed.write(DISPATCH / name, prefix + name)
    return out.getvalue()


def tarred() -> bytes:
    """Pack the sample adapter into a gzipped tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name in FILES:
            packed.add(DISPATCH / name, name)
    return out.getvalue()


def stored(engine: RunningEngine, name: str, data: bytes) -> str:
    """Put a file into the engine's storage; give an address that looks signed."""
    asked = httpx2.post(
        f"{engine.url}/v1/storage/upload-request", json={"filename": name}, headers=KEY
    ).json()
    told = asked.get("upload_url") or asked
    url, headers = told["url"], told.get("headers") or {}
    sent = httpx2.request(told.get("method", "PUT"), url, content=data, headers=headers)
    assert sent.status_code < 300, sent.text
    return f"{engine.url}/v1/storage/{name}?signature=secret"


def imported(engine: RunningEngine, address: str) -> Any:
    """Have the engine import an archive, and wait for its end."""
    client = strict_client(engine.url, engine.project)
    model = client.models.create(name="dispatch", base_model_id=WORDS.model_id, type="adapter")
    job = client.models.remote_uploads.create(model_id=model.id, remote_url=address)
    while job.status in ("REMOTE_UPLOAD_STATUS_PENDING", "REMOTE_UPLOAD_STATUS_RUNNING"):
        job = client.models.remote_uploads.retrieve(job.id)  # type: ignore[assignment]
    return job


@pytest.mark.parametrize(("name", "pack"), [("dispatch.zip", zipped), ("dispatch.tar.gz", tarred)])
def test_an_archive_becomes_a_revision(engine: RunningEngine, name: str, pack: Any) -> None:
    """Its files are those that were packed, and pass the validation."""
    job = imported(engine, stored(engine, name, pack()))
    assert job.status == "REMOTE_UPLOAD_STATUS_SUCCEEDED", job.status_message
    client = strict_client(engine.url, engine.project)
    (revision,) = client.models.list_revisions(job.api_model_id).data or []
    assert revision.validation_status == "REVISION_VALIDATION_STATUS_SUCCESS"
    rows = client.models.list_files(job.api_model_id).data or []
    assert {row.path for row in rows} == set(FILES)


def test_a_wrapping_folder_is_the_wrong_layout(engine: RunningEngine) -> None:
    """The job fails, its sentence names what is there, and our client knows the error."""
    job = imported(engine, stored(engine, "wrapped.zip", zipped("dispatch/")))
    assert job.status == "REMOTE_UPLOAD_STATUS_FAILED"
    assert "dispatch/adapter_config.json" in job.status_message
    assert job_error(job.status, job.status_message, job.remote_url) is ArchiveLayout


def test_an_address_that_leads_nowhere_has_expired(engine: RunningEngine) -> None:
    """What is not stored (any more) is told as an expired address."""
    job = imported(engine, f"{engine.url}/v1/storage/gone.zip?signature=secret")
    assert job.status == "REMOTE_UPLOAD_STATUS_FAILED"
    assert job_error(job.status, job.status_message, job.remote_url) is LinkExpired


@pytest.mark.parametrize("data", [b"", b"no archive", zipped()[:-40], tarred()[:200]])
def test_a_torn_archive_fails_with_a_sentence(engine: RunningEngine, data: bytes) -> None:
    """Nothing of it becomes a revision."""
    name = "torn.tar.gz" if data[:2] == b"\x1f\x8b" else "torn.zip"
    job = imported(engine, stored(engine, name, data))
    assert job.status == "REMOTE_UPLOAD_STATUS_FAILED"
    assert job.status_message.endswith(".")
    assert engine.counts()["revisions"] == 0


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://here:1/v1/storage/a.zip", "a.zip"),
        ("http://here:1/v1/storage/b/a.tar.gz?x=1", "b/a.tar.gz"),
        ("http://there:1/v1/storage/a.zip", None),
        ("http://here:1/v1/storage/a.bin", None),
        ("http://here:1/other/a.zip", None),
        ("owner/name", None),
    ],
)
def test_only_archives_of_its_own_storage_are_taken(address: str, name: str | None) -> None:
    """Another host, another place and another ending are nothing that the engine reads."""
    assert archive_name(address, "here:1") == name
