"""Large files in parts, at a Hub whose parts are small."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from huggingface_hub import HfApi

from lorry.engine import api_errors
from lorry.engine.clock import ManualClock
from lorry.engine.config import EngineConfig
from lorry.engine.hub import routes
from lorry.engine.hub.storage import Storage
from lorry.engine.works import open_works
from tests.engine.hub.conftest import KEY, REPO
from tests.hub.loopback import answering

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PART = 1000


@pytest.fixture
def small_parts(home: Path) -> Iterator[HfApi]:
    """Give a client of a Hub that takes LFS objects in parts of 1,000 bytes."""
    works = open_works(EngineConfig(home), ManualClock())
    app = FastAPI()
    api_errors.install(app)
    app.include_router(routes.router(Storage(works), lfs_part=PART))
    with answering(app) as url:
        client = HfApi(endpoint=url, token=KEY)
        client.create_repo(REPO)
        yield client
    works.close()


def test_parts_become_one_file(small_parts: HfApi, tmp_path: Path, home: Path) -> None:
    """One part, exactly full parts and a short last part; afterwards no part is left."""
    for size in (PART, PART + 1, 2 * PART, 3 * PART + 7, 11 * PART):
        data = hashlib.shake_128(str(size).encode()).digest(size)
        small_parts.upload_file(path_or_fileobj=data, path_in_repo=f"{size}.bin", repo_id=REPO)
        found = small_parts.hf_hub_download(REPO, f"{size}.bin", cache_dir=tmp_path / "cache")
        assert Path(found).read_bytes() == data
    left = [path for path in (home / "engine" / "lfs-parts").rglob("*") if path.is_file()]
    assert left == []
