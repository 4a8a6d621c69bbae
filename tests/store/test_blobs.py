"""Pictures are kept by what they are: on a disk, and in a bucket that speaks S3 (moto, on loopback)."""

from __future__ import annotations

import hashlib
import logging
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from lorry.errors import StorageError
from lorry.generation.ports import Blobs
from lorry.store.blobs import DiskBlobs
from lorry.store.bucket import BucketBlobs

SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Run a server with a bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/pictures", method="PUT")).close()  # noqa: S310
    yield url
    server.stop()


@pytest.fixture(params=["disk", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """Give each implementation of the port."""
    if request.param == "disk":
        return DiskBlobs(tmp_path / "generated")
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("bucket"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return BucketBlobs(f"s3://pictures/{tmp_path.name}")


async def test_a_content_is_kept_once_by_what_it_is(blobs: Blobs) -> None:
    """The same again is the same; what was never kept is not there."""
    content = b"\x89PNG" * 1000
    digest = hashlib.sha256(content).hexdigest()
    await blobs.put(content, digest)
    await blobs.put(content, digest)
    assert await blobs.get(digest) == content
    assert await blobs.get("0" * 64) is None


async def test_what_is_old_is_forgotten(blobs: Blobs) -> None:
    """All of it at once, and nothing that is newer."""
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
    for number, digest in enumerate(digests):
        await blobs.put(bytes([number]), digest)
    assert await blobs.forget(datetime.now(UTC) - timedelta(days=1)) == 0
    assert await blobs.forget(SOON) == 3
    assert [await blobs.get(digest) for digest in digests] == [None] * 3


async def test_a_disk_that_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    """Nothing half-written stays behind."""
    (tmp_path / "generated").write_text("a file where a folder belongs")
    with pytest.raises(StorageError):
        await DiskBlobs(tmp_path / "generated").put(b"x", "ab" * 32)


async def test_a_bucket_that_is_not_there_is_an_error_of_ours(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the bucket and what to correct."""
    for name, value in (
        ("ENDPOINT_URL", bucket),
        ("ACCESS_KEY_ID", "k"),
        ("SECRET_ACCESS_KEY", "s"),
        ("REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(StorageError, match="s3://nowhere"):
        await BucketBlobs("s3://nowhere").put(b"x", "ab" * 32)
