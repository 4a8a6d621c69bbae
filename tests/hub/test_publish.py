"""Publishing and withdrawing at a real Hub's protocol, through the official client."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants, get_session
from huggingface_hub.utils.tqdm import are_progress_bars_disabled

from lorry.delivery.ports import Publication
from lorry.errors import Conflict, KeyRejected, RequestRefused, SourceNotFound
from lorry.hub import HubPublisher
from tests.hub.conftest import KEY

# The client hands files to its HTTP library in a way that this deprecates; that is between those two.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Make = Callable[..., Publication]


async def test_weights_and_card_are_one_commit(
    publisher: HubPublisher, publication: Make, official: HfApi, tmp_path: Path
) -> None:
    """A private repository with the weights, a card, the right tags, and nothing else."""
    given = publication()
    published = await publisher.publish(given)
    info = official.model_info("local/tok", files_metadata=True)
    assert (published.repo, published.commit) == ("local/tok", info.sha)
    assert published.url == f"{official.endpoint}/local/tok"
    assert info.private
    assert {"lorry", "lora"} <= set(info.tags or [])
    files = {row.rfilename: row for row in info.siblings or []}
    assert set(files) == {"w.safetensors", "README.md"}
    lfs = files["w.safetensors"].lfs
    assert lfs is not None
    assert lfs.sha256 == given.digest
    assert len(official.list_repo_commits("local/tok")) == 2
    found = official.hf_hub_download("local/tok", "README.md", cache_dir=tmp_path / "cache")
    assert given.digest.encode() in await asyncio.to_thread(Path(found).read_bytes)


async def test_the_same_again_is_the_same_commit(publisher: HubPublisher, publication: Make) -> None:
    """Publishing is free when everything is there."""
    first = await publisher.publish(publication())
    assert await publisher.publish(publication()) == first


async def test_other_weights_are_a_new_commit(
    publisher: HubPublisher, publication: Make, official: HfApi
) -> None:
    """The history keeps what was published before."""
    first = await publisher.publish(publication(b"one"))
    second = await publisher.publish(publication(b"two"))
    commits = [row.commit_id for row in official.list_repo_commits("local/tok")]
    assert commits[:2] == [second.commit, first.commit]


async def test_an_empty_repository_is_adopted(
    publisher: HubPublisher, publication: Make, official: HfApi
) -> None:
    """A crash between the creation and the commit leaves an empty one, which the next try fills."""
    official.create_repo("local/tok", private=True)
    published = await publisher.publish(publication())
    assert official.model_info("local/tok").sha == published.commit


@pytest.mark.parametrize("card", [None, b"# mine", b"---\ntags: [lora]\n---\n", b"Published by lorry."])
async def test_what_is_not_ours_is_left_alone(
    publisher: HubPublisher, publication: Make, official: HfApi, card: bytes | None
) -> None:
    """A repository without our tag is neither overwritten nor deleted."""
    official.create_repo("local/tok")
    files = {"a.txt": b"text"} | ({"README.md": card} if card else {})
    adds = [CommitOperationAdd(path, data) for path, data in files.items()]
    commit = official.create_commit("local/tok", adds, commit_message="by hand").oid
    for attempt in (publisher.publish(publication()), publisher.withdraw("tok")):
        with pytest.raises(Conflict, match="local/tok") as caught:
            await attempt
        assert "--name" in caught.value.fix
    assert official.model_info("local/tok").sha == commit


async def test_withdrawing_is_complete_and_can_be_repeated(
    publisher: HubPublisher, publication: Make, official: HfApi
) -> None:
    """Afterwards nothing is there, and once more is fine."""
    await publisher.publish(publication())
    await publisher.withdraw("local/tok")
    assert not official.repo_exists("local/tok")
    await publisher.withdraw("local/tok")
    await publisher.withdraw("tok")


async def test_a_wrong_token_is_told_as_such(official: HfApi, publication: Make) -> None:
    """Not as a repository that is missing, and with the name of the setting."""
    other = HubPublisher(official.endpoint, "hf_other", xet=False)
    for attempt in (
        other.publish(publication()),
        other.publish(publication(repo="local/tok")),
        other.withdraw("tok"),
        other.withdraw("local/tok"),
    ):
        with pytest.raises(KeyRejected) as caught:
            await attempt
        assert "HF_TOKEN" in caught.value.fix
        assert "hf_other" not in f"{caught.value} {caught.value.evidence}"


async def test_no_token_is_told_as_such(official: HfApi, publication: Make) -> None:
    """A stored login of the user is never used instead."""
    nobody = HubPublisher(official.endpoint, None, xet=False)
    for repo in ("tok", "local/tok"):
        with pytest.raises(KeyRejected, match="no token"):
            await nobody.publish(publication(repo=repo))


async def test_a_name_that_the_hub_does_not_take(publisher: HubPublisher, publication: Make) -> None:
    """It is the request that is wrong, and nothing was made."""
    with pytest.raises(RequestRefused, match=r"a--b"):
        await publisher.publish(publication(repo="local/a--b"))


async def test_a_file_that_went_away_is_named(
    publisher: HubPublisher, publication: Make, official: HfApi
) -> None:
    """A source that vanished after the check is told before anything is created."""
    given = publication()
    given.files[0].path.unlink()
    with pytest.raises(SourceNotFound, match=r"w\.safetensors"):
        await publisher.publish(given)
    assert not official.repo_exists("local/tok")


@pytest.mark.parametrize("xet", [False, True])
async def test_the_client_is_left_as_it_was_found(
    engine: object, publication: Make, official: HfApi, xet: bool
) -> None:
    """A program that uses the client itself keeps its own settings, also after an error."""
    logger = logging.getLogger("huggingface_hub")
    other = HubPublisher(official.endpoint, "hf_other", xet=xet)

    def settings() -> tuple[object, ...]:
        session = get_session()
        return constants.HF_HUB_DISABLE_XET, logger.level, are_progress_bars_disabled(), session.trust_env

    before = settings()
    with pytest.raises(KeyRejected):
        await other.publish(publication())
    assert settings() == before


async def test_no_proxy_stands_between_us_and_this_machine(
    publisher: HubPublisher, publication: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment can't reach an engine on this machine, so it is not asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    published = await publisher.publish(publication())
    assert published.repo == "local/tok"
    assert KEY not in published.url


#: Publishes in a process of its own, where the client reads its environment anew.
_PROGRAM = """
import asyncio, hashlib, sys
from pathlib import Path
from lorry.delivery.ports import Publication, UploadFile
from lorry.hub import HubPublisher
path = Path(sys.argv[2])
publisher = HubPublisher(sys.argv[1], sys.argv[3], xet=False)
files = (UploadFile(path.name, path),)
asyncio.run(publisher.publish(Publication("tok", files, "base", "tok", "0" * 64)))
"""


@pytest.mark.parametrize("more", [{}, {"HF_HUB_OFFLINE": "1"}, {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}])
def test_it_prints_nothing_and_leaves_nothing_in_the_home(
    official: HfApi, publication: Make, tmp_path: Path, more: dict[str, str]
) -> None:
    """No bars, no warnings, no cache, no login; and `offline` is not about this machine."""
    path = publication().files[0].path
    kept = tmp_path / "hf"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, official.endpoint, str(path), KEY],
        env={**os.environ, "HF_HOME": str(kept), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert official.repo_exists("local/tok")
    assert not kept.exists()
