"""Routes of a commit: how each file is to be sent, and the commit itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request

from lorry.engine.hub.answers import (
    body_of,
    commit_at,
    number_of,
    refusal,
    require_token,
    rows_of,
    visible_repo,
)
from lorry.engine.hub.storage import (
    MAIN,
    Commit,
    Repo,
    Storage,
    StoredFile,
    clash,
    is_deleted,
    safe_path,
    stored,
)

#: Files that the Hub's default .gitattributes sends through LFS, as far as models have them.
_LFS_SUFFIXES = frozenset(
    (
        ".7z",
        ".bin",
        ".bz2",
        ".ckpt",
        ".ftz",
        ".gz",
        ".h5",
        ".joblib",
        ".model",
        ".msgpack",
        ".npy",
        ".npz",
        ".onnx",
        ".ot",
        ".parquet",
        ".pb",
        ".pickle",
        ".pkl",
        ".pt",
        ".pth",
        ".safetensors",
        ".tar",
        ".tflite",
        ".tgz",
        ".xz",
        ".zip",
        ".zst",
    )
)
#: Above this a file goes through LFS whatever its name (Hub documentation, "Repository limitations").
_LFS_SIZE = 10 * 1024 * 1024
#: A commit's body holds the small files themselves; more than this has to go through LFS.
_BODY_LIMIT = 64 * 1024 * 1024


@dataclass(slots=True)
class _Changes:
    title: str = ""
    message: str = ""
    parent: str | None = None
    added: list[StoredFile] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class Commits:
    """How content gets into a repository.

    Args:
        storage: Where repositories lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def router(self) -> APIRouter:
        """Make the routes."""
        router = APIRouter()
        model = "/api/models/{owner}/{name}"
        router.add_api_route(
            f"{model}/preupload/{{revision}}", self.preupload, methods=["POST"], response_model=None
        )
        router.add_api_route(
            f"{model}/commit/{{revision}}", self.commit, methods=["POST"], response_model=None
        )
        return router

    async def preupload(self, request: Request, owner: str, name: str, revision: str) -> dict[str, Any]:
        """Say for each file how it is to be sent, and what lies there now."""
        require_token(request, self._storage.works)
        repo = visible_repo(self._storage, request, owner, name)
        present = commit_at(self._storage, repo, revision)
        files = []
        for wanted in rows_of(await body_of(request), "files"):
            path, size = str(wanted.get("path", "")), number_of(wanted, "size")
            if not safe_path(path):
                raise refusal(400, f"{path!r} can't be a path in a repository.")
            lfs = PurePosixPath(path).suffix.lower() in _LFS_SUFFIXES or size > _LFS_SIZE
            there = present.file(path)
            oid = (there.sha256 if there.lfs else there.oid) if there else None
            mode = "lfs" if lfs else "regular"
            files.append(
                {"path": path, "uploadMode": mode, "shouldIgnore": False, **({"oid": oid} if oid else {})}
            )
        return {"files": files, "commitOid": present.oid}

    async def commit(self, request: Request, owner: str, name: str, revision: str) -> dict[str, Any]:
        """Take a commit: one JSON object a line, a header first."""
        require_token(request, self._storage.works)
        repo = visible_repo(self._storage, request, owner, name)
        if revision not in (MAIN, f"refs/heads/{MAIN}"):
            raise refusal(
                404, f"{repo.id} has no branch {revision}; there is only {MAIN}.", "RevisionNotFound"
            )
        changes = self._read(await _body(request))
        present = commit_at(self._storage, repo, MAIN)
        _check(repo, present, changes)
        made = self._storage.advance(
            repo.id, changes.title, changes.message, changes.added, changes.deleted, changes.parent
        )
        if made is None:
            raise refusal(412, f"{repo.id} has moved on: {changes.parent} is not its newest commit.")
        base = str(request.base_url).rstrip("/")
        return {"success": True, "commitOid": made.oid, "commitUrl": f"{base}/{repo.id}/commit/{made.oid}"}

    def _read(self, body: bytes) -> _Changes:
        changes = _Changes()
        for kind, value in _lines(body):
            if kind == "header":
                changes.title, changes.message = (
                    str(value.get("summary", "")),
                    str(value.get("description", "")),
                )
                changes.parent = value.get("parentCommit")
                continue
            path = str(value.get("path", ""))
            if not safe_path(path.removesuffix("/") if kind.startswith("deleted") else path):
                raise refusal(400, f"{path!r} can't be a path in a repository.")
            if kind == "file":
                changes.added.append(self._inline(path, str(value.get("content", ""))))
            elif kind == "lfsFile":
                changes.added.append(self._uploaded(path, str(value.get("oid", ""))))
            elif kind in ("deletedFile", "deletedFolder"):
                changes.deleted.append(path.rstrip("/") + ("/" if kind == "deletedFolder" else ""))
            else:
                raise refusal(400, f"A commit can't have a line with the key {kind!r} here.")
        if not changes.title:
            raise refusal(400, "A commit needs a header with a summary.")
        return changes

    def _inline(self, path: str, content: str) -> StoredFile:
        try:
            data = base64.b64decode(content, validate=True)
        except binascii.Error:
            raise refusal(400, f"The content of {path} is not base64.") from None
        return stored(path, self._storage.works.blobs.put(data).sha256, len(data), data)

    def _uploaded(self, path: str, oid: str) -> StoredFile:
        blobs = self._storage.works.blobs
        try:
            there = blobs.has(oid)
        except ValueError:
            there = False
        if not there:
            raise refusal(400, f"The content of {path} (LFS object {oid[:12]}) was never uploaded.")
        return stored(path, oid, blobs.path(oid).stat().st_size)


def _check(repo: Repo, present: Commit, changes: _Changes) -> None:
    for gone in changes.deleted:
        if not any(is_deleted(file.path, [gone]) for file in present.files):
            raise refusal(404, f"{repo.id} has no {gone} that could be deleted.", "EntryNotFound")
    kept = [file.path for file in present.files if not is_deleted(file.path, changes.deleted)]
    if both := clash([*kept, *(file.path for file in changes.added)]):
        raise refusal(400, f"{both} would be a file and a folder.")


async def _body(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _BODY_LIMIT:
            raise refusal(
                413, f"A commit's body may have {_BODY_LIMIT >> 20} MiB; send large files through LFS."
            )
    return bytes(received)


def _lines(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            yield str(item["key"]), dict(item["value"])
        except (ValueError, KeyError, TypeError):
            raise refusal(400, "The commit is not one JSON object with `key` and `value` a line.") from None
