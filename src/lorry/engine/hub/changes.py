"""A commit's changes: the lines of its request, and what they make of a tree. Nothing here is I/O."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.engine.hub.records import HubFile
from lorry.engine.hub.refusals import bad_request, entry_not_found


@dataclass(frozen=True, slots=True)
class Add:
    """Put a small file whose bytes came with the commit."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class AddLarge:
    """Put a large file that was uploaded before; `size` is `None` when the request leaves it out."""

    path: str
    sha256: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a file away, or a whole folder."""

    path: str
    folder: bool


Change = Add | AddLarge | Remove


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What a commit is asked to do; `parent` is the head that it was made for."""

    title: str
    message: str
    parent: str | None
    changes: tuple[Change, ...]


def parse_commit(body: bytes) -> CommitRequest:
    """Read a commit's request: one JSON object a line, the header first (LoRA formats dossier 3.3).

    Raises:
        HubRefusal: 400, a line can't be read or names a path that a repository can't have.
    """
    lines = [_line(text, number) for number, text in enumerate(body.splitlines(), 1) if text.strip()]
    if not lines or lines[0][0] != "header":
        raise bad_request("The first line of a commit must be its header.")
    header = lines[0][1]
    title = str(header.get("summary") or "").strip()
    if not title:
        raise bad_request("A commit needs a summary.")
    changes = tuple(_change(key, value) for key, value in lines[1:])
    return CommitRequest(title, str(header.get("description") or ""), header.get("parentCommit"), changes)


def _line(text: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        line = json.loads(text)
        key, value = line["key"], line["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"Line {number} of the commit can't be read.") from error
    if not isinstance(key, str) or not isinstance(value, dict):
        raise bad_request(f"Line {number} of the commit can't be read.")
    return key, value


def _change(key: str, value: dict[str, Any]) -> Change:
    path = check_path(str(value.get("path") or ""), folder=key == "deletedFolder")
    if key == "file":
        return Add(path, _content(path, value))
    if key == "lfsFile":
        sha256, size = str(value.get("oid")), value.get("size")
        if value.get("algo") != "sha256" or not is_sha256(sha256):
            raise bad_request(f"{path} needs the SHA-256 of its content.")
        if size is not None and not isinstance(size, int):
            raise bad_request(f"The size of {path} is no number.")
        return AddLarge(path, sha256, size)
    if key in ("deletedFile", "deletedFolder"):
        return Remove(path, key == "deletedFolder")
    raise bad_request(f"This engine knows no change of the kind {key!r}.")


def _content(path: str, value: dict[str, Any]) -> bytes:
    content = value.get("content")
    if not isinstance(content, str):
        raise bad_request(f"{path} has no content.")
    if value.get("encoding", "utf-8") == "utf-8":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise bad_request(f"The content of {path} is no base64.") from error


def is_sha256(text: str) -> bool:
    """Say whether a text is a SHA-256 in lower-case hex."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def check_path(path: str, *, folder: bool = False) -> str:
    """Accept a path inside a repository: relative, without `..`, `.git`, control characters or backslashes.

    Raises:
        HubRefusal: 400, it is none.
    """
    bare = path.rstrip("/") if folder else path
    parts = bare.split("/")
    forbidden = any(part in ("", ".", "..", ".git") for part in parts)
    if forbidden or "\\" in bare or any(ord(character) < 32 for character in bare) or len(bare) > 1024:
        raise bad_request(f"{path!r} can't be the path of a file in a repository.")
    return bare


def changed_tree(
    tree: Mapping[str, HubFile], changes: tuple[Change, ...], added: Mapping[str, HubFile]
) -> dict[str, HubFile]:
    """Apply changes in their order.

    Args:
        tree: The files before, by path.
        changes: What to change.
        added: The files that the changes put, by path.

    Raises:
        HubRefusal: 404, what is to be deleted is not there; 400, a file stands where a folder must be.
    """
    after = dict(tree)
    for change in changes:
        if isinstance(change, Remove):
            gone = [path for path in after if _below(path, change)]
            if not gone:
                raise entry_not_found(f"{change.path}. A file with this name doesn't exist")
            for path in gone:
                del after[path]
        else:
            after[change.path] = added[change.path]
    for path in after:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if (parent := "/".join(parts[:depth])) in after:
                raise bad_request(f"{parent} is a file, so {path} can't lie in it.")
    return after


def _below(path: str, change: Remove) -> bool:
    return path.startswith(change.path + "/") if change.folder else path == change.path
