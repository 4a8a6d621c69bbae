"""What the Hub refuses, and that the official client knows why."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lorry.engine.testing import RunningEngine
from tests.engine.hub.conftest import KEY, REPO

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

HEADERS = {"Authorization": f"Bearer {KEY}"}


def commit_body(*lines: tuple[str, dict[str, Any]]) -> bytes:
    """Write the body of a commit."""
    rows = [{"key": "header", "value": {"summary": "s"}}, *({"key": k, "value": v} for k, v in lines)]
    return b"\n".join(json.dumps(row).encode() for row in rows)


def file_line(path: str, data: bytes = b"x") -> tuple[str, dict[str, Any]]:
    """Write the line of a small file."""
    return "file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}


def send_commit(engine: RunningEngine, body: bytes, revision: str = "main") -> httpx2.Response:
    """Send a commit as it stands."""
    return httpx2.post(f"{engine.url}/api/models/{REPO}/commit/{revision}", content=body, headers=HEADERS)


def plan_of(engine: RunningEngine, oid: str, size: int) -> dict[str, Any]:
    """Ask where an LFS object goes."""
    body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}]}
    answer = httpx2.post(f"{engine.url}/{REPO}.git/info/lfs/objects/batch", json=body, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    actions: dict[str, Any] = answer.json()["objects"][0]["actions"]
    return actions


def files_below(folder: Path) -> list[Path]:
    """List all files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_creating_twice_is_409(client: HfApi, repo: str) -> None:
    """A second creation is a conflict, which `exist_ok` forgives; nothing is lost by it."""
    client.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=REPO)
    with pytest.raises(HfHubHTTPError) as caught:
        client.create_repo(REPO)
    assert caught.value.response.status_code == 409
    assert client.create_repo(REPO, exist_ok=True).repo_id == REPO
    assert client.file_exists(REPO, "a.txt")


def test_each_absence_has_its_own_class(client: HfApi, repo: str, tmp_path: Path) -> None:
    """Repository, revision and file: the client tells them apart by the Hub's codes."""
    with pytest.raises(RepositoryNotFoundError):
        client.model_info("local/other")
    with pytest.raises(RevisionNotFoundError):
        client.model_info(REPO, revision="other")
    with pytest.raises(RemoteEntryNotFoundError):
        client.hf_hub_download(REPO, "none.txt", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        client.hf_hub_download(REPO, "none.txt", revision="0" * 40, cache_dir=tmp_path)
    with pytest.raises(RemoteEntryNotFoundError):
        list(client.list_repo_tree(REPO, path_in_repo="none"))
    with pytest.raises(RepositoryNotFoundError):
        client.delete_repo("local/other")
    client.delete_repo("local/other", missing_ok=True)


def test_a_deleted_repository_is_gone_and_its_name_free(client: HfApi, repo: str) -> None:
    """Deleting takes the history too: the name again begins with nothing."""
    client.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=REPO)
    client.delete_repo(REPO)
    assert not client.repo_exists(REPO)
    client.create_repo(REPO)
    assert client.list_repo_files(REPO) == []
    assert len(client.list_repo_commits(REPO)) == 1


def test_a_private_repository_needs_the_token(client: HfApi, stranger: HfApi) -> None:
    """Without a token it is as if it were not there, in the list of repositories too."""
    client.create_repo("local/secret", private=True)
    client.create_repo("local/open", private=False)
    assert client.model_info("local/secret").private
    with pytest.raises(RepositoryNotFoundError):
        stranger.model_info("local/secret")
    assert not stranger.repo_exists("local/secret")
    assert stranger.model_info("local/open").id == "local/open"
    assert {row.id for row in client.list_models()} == {"local/secret", "local/open"}
    assert {row.id for row in stranger.list_models()} == {"local/open"}


def test_changes_need_a_token(stranger: HfApi, client: HfApi, repo: str) -> None:
    """Reading a public repository is free; creating, committing and deleting are not."""
    for change in (
        lambda: stranger.create_repo("local/mine"),
        lambda: stranger.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=REPO),
        lambda: stranger.delete_repo(REPO),
        lambda: stranger.whoami(token=False),
    ):
        with pytest.raises(Exception, match=r"401|token"):
            change()
    assert client.list_repo_files(REPO) == []


def test_a_wrong_token_is_401_everywhere(engine: RunningEngine, client: HfApi) -> None:
    """A token that is not the engine's key is worse than none: even what is public is refused."""
    client.create_repo("local/open", private=False)
    other = HfApi(endpoint=engine.url, token="hf_other")  # noqa: S106
    with pytest.raises(HfHubHTTPError) as caught:
        other.model_info("local/open")
    assert caught.value.response.status_code == 401
    assert "X-Error-Code" not in caught.value.response.headers


@pytest.mark.parametrize("multipart", [False, True])
def test_other_bytes_than_announced_are_refused_and_not_kept(
    engine: RunningEngine, repo: str, multipart: bool
) -> None:
    """An LFS object that arrives damaged is 422, and leaves no file behind."""
    good, bad = b"good bytes", b"bad bytes!"
    oid = hashlib.sha256(good).hexdigest()
    upload = plan_of(engine, oid, len(good))["upload"]["href"]
    before = files_below(engine.engine.works.config.folder)
    if multipart:
        assert httpx2.put(f"{upload}/parts/1", content=bad).status_code == 200
        answer = httpx2.post(f"{upload}/complete", json={"oid": oid, "parts": [{"partNumber": 1}]})
    else:
        answer = httpx2.put(upload, content=bad)
    assert answer.status_code == 422
    assert hashlib.sha256(bad).hexdigest()[:12] in answer.json()["error"]
    assert [path for path in files_below(engine.engine.works.config.folder) if path not in before] == []
    body = commit_body(("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": oid, "size": len(good)}))
    assert send_commit(engine, body).status_code == 400


def test_an_address_of_an_upload_can_not_be_guessed(engine: RunningEngine, repo: str) -> None:
    """Only who was given the address may put an object there; another object's address is no use."""
    data, other = b"some bytes", b"other bytes"
    oid, other_oid = hashlib.sha256(data).hexdigest(), hashlib.sha256(other).hexdigest()
    upload = plan_of(engine, oid, len(data))["upload"]["href"]
    assert httpx2.put(upload.replace(oid, other_oid), content=other).status_code == 403
    assert httpx2.put(f"{engine.url}/api/lfs/{'0' * 64}/{oid}", content=data).status_code == 403
    assert httpx2.put(upload, content=data).status_code == 200


def test_parts_have_to_be_complete(engine: RunningEngine, repo: str) -> None:
    """A completion that leaves a part out, or names one that never came, is 400."""
    data = b"bytes that never become whole"
    upload = plan_of(engine, hashlib.sha256(data).hexdigest(), len(data))["upload"]["href"]
    httpx2.put(f"{upload}/parts/2", content=data)
    for numbers in ([], [2], [1, 2], [-1], ["1"]):
        parts = [{"partNumber": number} for number in numbers]
        assert httpx2.post(f"{upload}/complete", json={"parts": parts}).status_code == 400


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a/../b", "a//b", "./a", "a\\b", "", ".git/config", "a\0b", "a/"]
)
def test_a_path_can_not_leave_its_repository(
    engine: RunningEngine, client: HfApi, repo: str, path: str
) -> None:
    """Every way of naming something outside is 400 at both doors, and no commit is made."""
    asked = httpx2.post(
        f"{engine.url}/api/models/{REPO}/preupload/main",
        json={"files": [{"path": path, "size": 1}]},
        headers=HEADERS,
    )
    assert asked.status_code == 400
    assert send_commit(engine, commit_body(file_line(path))).status_code == 400
    assert len(client.list_repo_commits(REPO)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"key": "header"}',
        b"\xff\xfe",
        json.dumps({"key": "header", "value": {"summary": ""}}).encode(),
        commit_body(("file", {"path": "a.txt", "content": "%%"})),
        commit_body(("symlink", {"path": "a.txt"})),
        commit_body(("lfsFile", {"path": "a.bin", "oid": "../../etc/passwd"})),
        commit_body(("lfsFile", {"path": "a.bin", "oid": "0" * 64})),
        commit_body(file_line("a"), file_line("a/b")),
    ],
)
def test_a_malformed_commit_is_400(engine: RunningEngine, client: HfApi, repo: str, body: bytes) -> None:
    """Nothing of it is taken, and the sentence says what is wrong."""
    answer = send_commit(engine, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert answer.headers["X-Error-Message"]
    assert len(client.list_repo_commits(REPO)) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"files": 1}', b'{"files": [1]}', b"\xff"])
def test_a_malformed_body_is_400(engine: RunningEngine, repo: str, body: bytes) -> None:
    """No body makes the engine fail on its own side."""
    for path in (
        f"api/models/{REPO}/preupload/main",
        f"{REPO}.git/info/lfs/objects/batch",
        "api/repos/create",
    ):
        changed = body.replace(b"files", b"objects") if "lfs" in path else body
        answer = httpx2.post(f"{engine.url}/{path}", content=changed, headers=HEADERS)
        assert answer.status_code == 400, (path, answer.text)


def test_a_commit_on_an_older_state_is_412(client: HfApi, repo: str) -> None:
    """Who names the parent is told when somebody else was quicker."""
    first = client.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=REPO).oid
    client.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id=REPO, parent_commit=first)
    with pytest.raises(HfHubHTTPError) as caught:
        client.upload_file(path_or_fileobj=b"3", path_in_repo="a.txt", repo_id=REPO, parent_commit=first)
    assert caught.value.response.status_code == 412


def test_only_main_can_be_committed_to(engine: RunningEngine, client: HfApi, repo: str) -> None:
    """There are no other branches, and a commit's id is none."""
    commit = client.model_info(REPO).sha
    for revision in ("other", str(commit)):
        answer = send_commit(engine, commit_body(file_line("a.txt")), revision)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    assert client.model_info(REPO).sha == commit


@pytest.mark.parametrize("name", ["a--b", "a..b", ".a", "a.git", "a b", "x" * 97, "ä"])
def test_a_name_that_the_hub_does_not_take_is_400(engine: RunningEngine, name: str) -> None:
    """The Hub's own rules for names hold here too."""
    answer = httpx2.post(f"{engine.url}/api/repos/create", json={"name": name}, headers=HEADERS)
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_there_are_models_only(client: HfApi, kind: str) -> None:
    """Datasets and spaces are refused with a sentence."""
    with pytest.raises(HfHubHTTPError, match="models only"):
        client.create_repo("local/data", repo_type=kind, space_sdk="static" if kind == "space" else None)
