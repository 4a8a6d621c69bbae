"""A publisher at an engine's Hub, and something to publish."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi

from lorry.delivery.ports import Publication, UploadFile
from lorry.engine.testing import RunningEngine, running_engine
from lorry.errors import EngineNotRunning
from lorry.hub import HubPublisher

KEY = "hf_key"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Give an engine with a key of its own."""
    with running_engine(tmp_path_factory.mktemp("home"), api_key=KEY) as engine:
        yield engine


@pytest.fixture
def official(engine: RunningEngine) -> Iterator[HfApi]:
    """Give the official client, to look at what was published; no repository is left to the next test."""
    client = HfApi(endpoint=engine.url, token=KEY)
    yield client
    for left in client.list_models():
        client.delete_repo(left.id)
    huggingface_hub.close_session()


@pytest.fixture
def publisher(engine: RunningEngine, official: HfApi) -> HubPublisher:
    """Give a publisher as the wiring builds it."""
    return HubPublisher(engine.url, KEY, xet=False, unreachable=EngineNotRunning)


@pytest.fixture
def publication(tmp_path: Path) -> Callable[..., Publication]:
    """Give a way to make publications that differ in their weights."""

    def make(data: bytes = b"weights", repo: str = "tok", trigger: str | None = "tok") -> Publication:
        path = tmp_path / "w.safetensors"
        path.write_bytes(data)
        files = (UploadFile(path.name, path),)
        return Publication(repo, files, "lorry/flux-icons-64", trigger, hashlib.sha256(data).hexdigest())

    return make
