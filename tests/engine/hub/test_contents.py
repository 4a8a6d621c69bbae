"""What is uploaded comes back: commits, files, ranges, metadata, history."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile, RepoFolder
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lorry.engine.hub.storage import clash, safe_path
from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.hub.conftest import KEY, REPO

# The client hands files to its HTTP library in a way that this deprecates; that is between those two.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Download = Callable[..., bytes]

GIT_ID_OF_TEXT = "f3a34851d44d6b97c90fbb99dd3d18c261b9a237"
WEIGHTS = bytes(range(256)) * 4096


def upload(client: HfApi, path: str, data: bytes) -> str:
    """Upload one file in a commit of its own; give the commit."""
    return client.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=REPO).oid


@pytest.mark.parametrize("path", ["notes.txt", "model.safetensors", "deep/er/model.bin"])
def test_a_file_comes_back_as_it_was_sent(client: HfApi, repo: str, download: Download, path: str) -> None:
    """Small files inside the commit and LFS files beside it: the bytes are the same."""
    data = WEIGHTS + path.encode()
    commit = upload(client, path, data)
    assert download(path) == data
    assert download(path, commit) == data


def test_an_empty_file_is_a_file(client: HfApi, repo: str, download: Download) -> None:
    """No bytes are contents too, inline and through LFS."""
    upload(client, "empty.txt", b"")
    upload(client, "empty.bin", b"")
    assert download("empty.txt") == b""
    assert download("empty.bin") == b""


def test_a_large_text_goes_through_lfs(client: HfApi, repo: str, download: Download) -> None:
    """Above 10 MiB a file is an LFS file whatever its name."""
    data = b"x" * (10 * 1024 * 1024 + 1)
    upload(client, "long.txt", data)
    (info,) = client.get_paths_info(REPO, "long.txt")
    assert isinstance(info, RepoFile)
    assert info.lfs is not None
    assert info.lfs.sha256 == hashlib.sha256(data).hexdigest()
    assert download("long.txt") == data


def test_a_folder_is_one_commit(client: HfApi, repo: str, tmp_path: Path, download: Download) -> None:
    """`upload_folder` brings all files of a folder, card included, in one commit."""
    for path, data in {
        "README.md": b"---\ntags: [a]\n---\n",
        "w.safetensors": WEIGHTS,
        "a/b.txt": b"b",
    }.items():
        target = tmp_path / "folder" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    client.upload_folder(repo_id=REPO, folder_path=tmp_path / "folder")
    assert set(client.list_repo_files(REPO)) == {"README.md", "w.safetensors", "a/b.txt"}
    assert len(client.list_repo_commits(REPO)) == 2
    assert download("a/b.txt") == b"b"
    assert client.model_info(REPO).tags == ["a"]


def test_the_same_again_makes_no_commit(client: HfApi, repo: str) -> None:
    """What lies there already is recognised by its digest; the present commit is the answer."""
    operations = {"a.txt": b"text", "w.safetensors": WEIGHTS}

    def commit() -> str:
        adds = [CommitOperationAdd(path, data) for path, data in operations.items()]
        return client.create_commit(REPO, adds, commit_message="once").oid

    assert commit() == commit()
    assert len(client.list_repo_commits(REPO)) == 2


def test_the_history_is_kept(client: HfApi, repo: str, download: Download) -> None:
    """Each commit is immutable, and a history begins at the revision that is asked for."""
    first, second = upload(client, "a.txt", b"1"), upload(client, "a.txt", b"2")
    assert (download("a.txt", first), download("a.txt", second), download("a.txt")) == (b"1", b"2", b"2")
    assert [row.commit_id for row in client.list_repo_commits(REPO)][:2] == [second, first]
    assert client.list_repo_commits(REPO, revision=first)[0].commit_id == first
    (branch,) = client.list_repo_refs(REPO).branches
    assert (branch.name, branch.target_commit) == ("main", second)


def test_the_tree_has_files_and_folders(client: HfApi, repo: str) -> None:
    """One level or all levels; a folder's id changes with what is below it and with nothing else."""
    for path in ("a.txt", "x/b.txt", "x/y/c.bin"):
        upload(client, path, path.encode())

    def names(**more: object) -> set[str]:
        return {row.path for row in client.list_repo_tree(REPO, **more)}  # type: ignore[arg-type]

    assert names() == {"a.txt", "x"}
    assert names(recursive=True) == {"a.txt", "x", "x/b.txt", "x/y", "x/y/c.bin"}
    assert names(path_in_repo="x") == {"x/b.txt", "x/y"}
    (before,) = client.get_paths_info(REPO, "x")
    assert isinstance(before, RepoFolder)
    upload(client, "a.txt", b"other")
    assert client.get_paths_info(REPO, "x") == [before]
    upload(client, "x/y/c.bin", b"other")
    assert client.get_paths_info(REPO, "x") != [before]
    assert client.get_paths_info(REPO, ["x/b.txt", "nothing"])[0].path == "x/b.txt"


def test_files_and_folders_are_deleted(client: HfApi, repo: str) -> None:
    """A deletion is a commit; earlier commits keep the file; what is not there can't be deleted."""
    for path in ("a.txt", "x/b.txt", "x/c.txt"):
        commit = upload(client, path, b"text")
    client.delete_file("a.txt", REPO)
    client.delete_folder("x", REPO)
    assert client.list_repo_files(REPO) == []
    assert len(client.list_repo_files(REPO, revision=commit)) == 3
    with pytest.raises(HfHubHTTPError) as caught:
        client.create_commit(REPO, [CommitOperationDelete("a.txt")], commit_message="again")
    assert caught.value.response.status_code == 404


def test_a_range_is_a_part(client: HfApi, repo: str, engine: RunningEngine) -> None:
    """206 with the part that was asked for; 416 beyond the end."""
    upload(client, "w.safetensors", WEIGHTS)
    url = f"{engine.url}/{REPO}/resolve/main/w.safetensors"
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}) as http:
        part = http.get(url, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, WEIGHTS[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(WEIGHTS)}"
        assert http.get(url, headers={"Range": f"bytes={len(WEIGHTS)}-"}).status_code == 416
        head = http.head(url)
        assert head.headers["content-length"] == str(len(WEIGHTS))


def test_the_header_says_what_it_is(client: HfApi, repo: str) -> None:
    """ETag is the SHA-256 for LFS and git's own id for small files; both name the commit."""
    upload(client, "a.txt", b"text")
    commit = upload(client, "w.safetensors", WEIGHTS)
    found = client.get_hf_file_metadata(url=f"{client.endpoint}/{REPO}/resolve/main/w.safetensors", token=KEY)
    assert found.etag == hashlib.sha256(WEIGHTS).hexdigest()
    assert (found.size, found.commit_hash, found.xet_file_data) == (len(WEIGHTS), commit, None)
    small = client.get_hf_file_metadata(url=f"{client.endpoint}/{REPO}/resolve/main/a.txt", token=KEY)
    # What `printf text | git hash-object --stdin` prints.
    assert (small.etag, small.size) == (GIT_ID_OF_TEXT, 4)


@pytest.mark.parametrize("tensors", [1, 3000])
def test_the_client_reads_a_safetensors_header(
    client: HfApi, repo: str, tmp_path: Path, tensors: int
) -> None:
    """A remote header is read in ranges: in one request, and in two when it is above 100 kB."""
    path = tmp_path / "w.safetensors"
    save_file({f"layer.{number:05d}.lora_A.weight": np.zeros(1) for number in range(tensors)}, path)
    assert (path.stat().st_size > 200_000) == (tensors > 1)
    client.upload_file(path_or_fileobj=path, path_in_repo=path.name, repo_id=REPO)
    assert len(client.parse_safetensors_file_metadata(REPO, path.name).tensors) == tensors


def test_existence_is_one_question(client: HfApi, repo: str) -> None:
    """`file_exists`, `repo_exists` and `revision_exists` tell what is from what is not."""
    commit = upload(client, "a.txt", b"1")
    assert client.file_exists(REPO, "a.txt")
    assert not client.file_exists(REPO, "b.txt")
    assert client.repo_exists(REPO)
    assert not client.repo_exists("local/other")
    assert client.revision_exists(REPO, commit)
    assert not client.revision_exists(REPO, "0" * 40)


def test_everything_is_there_after_a_restart(home: Path, tmp_path: Path) -> None:
    """Repositories, history and contents lie on the disk."""
    with running_engine(home, api_key=KEY) as engine:
        client = HfApi(endpoint=engine.url, token=KEY)
        client.create_repo(REPO)
        commit = upload(client, "w.bin", WEIGHTS)
    with running_engine(home, api_key=KEY) as engine:
        client = HfApi(endpoint=engine.url, token=KEY)
        assert client.model_info(REPO).sha == commit
        assert Path(client.hf_hub_download(REPO, "w.bin", cache_dir=tmp_path / "c")).read_bytes() == WEIGHTS
        upload(client, "a.txt", b"more")
        assert len(client.list_repo_commits(REPO)) == 3


@given(st.lists(st.text(alphabet="ab./\\\0", min_size=0, max_size=12), max_size=6))
def test_paths_that_are_safe_stay_inside_and_fit_together(paths: list[str]) -> None:
    """Whatever is accepted lies below its repository, and no path is a file and a folder at once."""
    safe = [path for path in paths if safe_path(path)]
    for path in safe:
        assert not Path(path).is_absolute()
        assert ".." not in Path(path).parts
        assert Path(path).as_posix() == path
    both = clash(safe)
    folders = {parent.as_posix() for path in safe for parent in Path(path).parents}
    assert (both is None) == (not folders & set(safe))
