"""The official client, unmodified, at an engine's Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from lorry.engine.testing import RunningEngine, running_engine

KEY = "hf_key"
REPO = "local/tok"


@pytest.fixture(autouse=True)
def plain_client() -> Iterator[None]:
    """Switch Xet off as HF_HUB_DISABLE_XET=1 does, which the client reads once, when it is imported."""
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    yield
    constants.HF_HUB_DISABLE_XET = before
    huggingface_hub.close_session()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Give an engine with a key of its own; starting one takes longer than most tests here."""
    with running_engine(tmp_path_factory.mktemp("home"), api_key=KEY) as engine:
        yield engine


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[HfApi]:
    """Give the official client with the engine's key; no repository is left to the next test."""
    client = HfApi(endpoint=engine.url, token=KEY)
    yield client
    for left in client.list_models():
        client.delete_repo(left.id)


@pytest.fixture
def stranger(engine: RunningEngine) -> HfApi:
    """Give the official client without a token."""
    return HfApi(endpoint=engine.url, token=False)


@pytest.fixture
def repo(client: HfApi) -> str:
    """Give a repository that was just created."""
    client.create_repo(REPO)
    return REPO


@pytest.fixture
def download(client: HfApi, tmp_path: Path) -> Callable[..., bytes]:
    """Give a way to download a file and read it, with a cache of this test alone."""

    def read(path: str, revision: str | None = None) -> bytes:
        found = client.hf_hub_download(REPO, path, revision=revision, cache_dir=tmp_path / "cache")
        return Path(found).read_bytes()

    return read
