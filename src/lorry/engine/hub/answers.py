"""How repositories look outside, and the Hub's way of refusing: a status and two headers."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fastapi import HTTPException, Request

from lorry.engine.hub.cards import front_matter, tags
from lorry.engine.hub.storage import Commit, Repo, Storage, StoredFile, pointer
from lorry.engine.works import Works


def refusal(status: int, message: str, code: str | None = None) -> HTTPException:
    """Refuse as the Hub does: `X-Error-Code` gives the client its class of error.

    Args:
        status: HTTP status.
        message: One plain sentence.
        code: The Hub's code (`RepoNotFound`, `EntryNotFound`, `RevisionNotFound`).
    """
    headers = {"X-Error-Message": message.encode("ascii", "replace").decode()}
    return HTTPException(status, message, {**headers, **({"X-Error-Code": code} if code else {})})


def token_of(request: Request, works: Works) -> str | None:
    """Read the token of a request; `None` when there is none.

    Raises:
        HTTPException: 401, it is not the key of this engine.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return None
    key = works.config.api_key
    if key is not None and not hmac.compare_digest(token.encode(), key.encode()):
        raise refusal(401, "Invalid credentials in Authorization header")
    return token


def require_token(request: Request, works: Works) -> str:
    """Read the token of a request that changes something.

    Raises:
        HTTPException: 401, there is none or it is wrong.
    """
    token = token_of(request, works)
    if token is None:
        raise refusal(401, "This needs a token: send `Authorization: Bearer TOKEN`.")
    return token


async def body_of(request: Request) -> dict[str, Any]:
    """Read a body that has to be a JSON object.

    Raises:
        HTTPException: 400, it is none.
    """
    try:
        body = await request.json()
    except ValueError:  # no JSON, or no UTF-8
        body = None
    if not isinstance(body, dict):
        raise refusal(400, "The body has to be a JSON object.")
    return body


def rows_of(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Take a list of JSON objects out of a body; an empty one when it has none.

    Raises:
        HTTPException: 400, it is something else.
    """
    rows = body.get(key) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refusal(400, f"`{key}` has to be a list of JSON objects.")
    return rows


def number_of(row: dict[str, Any], key: str) -> int:
    """Take a whole number that is not negative out of a JSON object.

    Raises:
        HTTPException: 400, it is none.
    """
    number = row.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise refusal(400, f"`{key}` has to be a whole number, and {number!r} is none.")
    return number


def visible_repo(storage: Storage, request: Request, owner: str, name: str) -> Repo:
    """Find a repository that the sender may see; a private one needs a token.

    Raises:
        HTTPException: 404, or 401 without a token, both as `RepoNotFound`: the Hub does not tell them apart.
    """
    token = token_of(request, storage.works)
    repo = storage.repo(f"{owner}/{name}")
    if repo is None:
        raise refusal(404, f"Repository {owner}/{name} does not exist on this Hub.", "RepoNotFound")
    if repo.private and token is None:
        raise refusal(401, f"Repository {owner}/{name} does not exist or is private.", "RepoNotFound")
    return repo


def commit_at(storage: Storage, repo: Repo, revision: str) -> Commit:
    """Find a commit by branch or id.

    Raises:
        HTTPException: 404 `RevisionNotFound`.
    """
    commit = storage.commit(repo.id, revision)
    if commit is None:
        raise refusal(404, f"{repo.id} has no revision {revision}.", "RevisionNotFound")
    return commit


def entry(file: StoredFile) -> dict[str, Any]:
    """Show a file as lists of files do."""
    shown: dict[str, Any] = {"type": "file", "path": file.path, "size": file.size, "oid": file.oid}
    if file.lfs:
        size = len(pointer(file.sha256, file.size))
        shown["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": size}
    return shown


def folder_entry(commit: Commit, path: str) -> dict[str, Any]:
    """Show a folder as lists of files do; its id follows from everything below it."""
    below = "\n".join(f"{file.path} {file.oid}" for file in commit.files if file.path.startswith(f"{path}/"))
    oid = hashlib.sha1(below.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}


def folders_of(commit: Commit) -> set[str]:
    """Name all folders of a commit."""
    found = set()
    for file in commit.files:
        parts = file.path.split("/")
        found |= {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    return found


def model_info(storage: Storage, repo: Repo, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    """Show a repository as `model_info` reads it.

    Args:
        storage: Where contents lie.
        repo: The repository.
        commit: The commit that is shown.
        blobs: Whether sizes and digests of the files are wanted.
    """
    card = card_data(storage, commit)
    return {
        "_id": commit.oid[:24],
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.split("/")[0],
        "sha": commit.oid,
        "lastModified": commit.date,
        "createdAt": repo.created_at,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags(card),
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "cardData": card,
        "siblings": [_sibling(file, blobs=blobs) for file in commit.files],
    }


def card_data(storage: Storage, commit: Commit) -> dict[str, Any]:
    """Read the metadata of a commit's README; empty when there is none that can be read."""
    file = commit.file("README.md")
    if file is None or file.lfs:  # a card beyond the limit of regular files is none
        return {}
    try:
        return front_matter(storage.works.blobs.path(file.sha256).read_text(encoding="utf-8"))
    except ValueError:
        return {}


def _sibling(file: StoredFile, *, blobs: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        listed = entry(file)
        shown |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            shown["lfs"] = {"sha256": file.sha256, **listed["lfs"]}
    return shown
