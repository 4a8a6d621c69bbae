"""The embedded engine is a Hub too: a check asks it as it asks the public one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from lorry.engine.testing import RunningEngine, running_engine
from lorry.weights.origins.access import Access
from lorry.weights.origins.fetching import fetched
from lorry.weights.origins.opening import Opened, Unopened, opened

# The official client's own way to send bytes, which it deprecates itself.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

KEY = "hf_key"
REPO = "local/tok"
FILE = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module", autouse=True)
def plain_client() -> Iterator[None]:
    """Switch Xet off, which the engine's Hub does not speak."""
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    yield
    constants.HF_HUB_DISABLE_XET = before
    huggingface_hub.close_session()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, sound: bytes) -> Iterator[RunningEngine]:
    """Give an engine with a public and a private repository."""
    with running_engine(tmp_path_factory.mktemp("home"), api_key=KEY) as engine:
        client = HfApi(endpoint=engine.url, token=KEY)
        for repo, private in ((REPO, False), ("local/hidden", True)):
            client.create_repo(repo, private=private)
            client.upload_file(path_or_fileobj=sound, path_in_repo=FILE, repo_id=repo)
            client.upload_file(path_or_fileobj=b"# tok", path_in_repo="README.md", repo_id=repo)
        yield engine


def codes(source: str, access: Access) -> list[str]:
    """Give the codes of why a source can't be opened."""
    with opened(source, access) as result:
        assert isinstance(result, Unopened), result
        return [found.code for found in result.findings]


def test_a_repository_of_the_engine(engine: RunningEngine, sound: bytes) -> None:
    """Bytes, size, commit and digest are those of what was uploaded."""
    with opened(REPO, Access(hub_url=engine.url)) as result:
        assert isinstance(result, Opened)
        assert result.inside == FILE
        assert result.source.size == len(sound)
        assert result.source.read(0, result.source.reach) == sound[: result.source.reach]
        assert result.digest == hashlib.sha256(sound).hexdigest()
        assert result.revision == HfApi(endpoint=engine.url, token=KEY).model_info(REPO).sha
        assert result.listing.text("README.md") == "# tok"
        assert result.late() == ()


def test_what_the_engine_refuses(engine: RunningEngine) -> None:
    """Missing, private, wrong revision, wrong file and wrong token: each has its code."""
    access = Access(hub_url=engine.url)
    assert codes("local/none", access) == ["REMOTE_NOT_FOUND"]
    assert codes("local/hidden", access) == ["REMOTE_PRIVATE"]
    assert codes(f"{REPO}@v9", access) == ["REMOTE_REV"]
    assert codes(f"{REPO}:none.safetensors", access) == ["REMOTE_NOT_FOUND"]
    assert codes(REPO, Access(hub_url=engine.url, hub_token="wrong")) == ["REMOTE_PRIVATE"]  # noqa: S106


def test_a_token_opens_what_is_private(engine: RunningEngine, sound: bytes) -> None:
    """With the token the private repository is read like any other, by name and by link."""
    access = Access(hub_url=engine.url, hub_token=KEY)
    for source in ("local/hidden", f"{engine.url}/local/hidden/blob/main/{FILE}"):
        with opened(source, access) as result:
            assert isinstance(result, Opened)
            assert result.source.size == len(sound)


def test_a_repository_is_fetched_whole(engine: RunningEngine, sound: bytes) -> None:
    """For a conversion the file comes here with its README, and goes again."""
    with fetched(REPO, Access(hub_url=engine.url)) as path:
        assert path.name == FILE
        assert path.read_bytes() == sound
        assert (path.parent / "README.md").read_text() == "# tok"
    assert not path.parent.exists()
