"""What the Hub keeps: repositories, their commits, and the files of each commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

#: The only branch that a repository here has.
BRANCH = "main"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a commit: where its bytes lie (SHA-256), how many, and how git knows it.

    Attributes:
        sha256: Name of its content among the engine's blobs.
        size: Bytes.
        oid: git's id of it: of its content, or of the pointer that stands for a large file.
        lfs: Whether it is kept as a large file (Git LFS).
    """

    sha256: str
    size: int
    oid: str
    lfs: bool

    @property
    def etag(self) -> str:
        """Its ETag: the SHA-256 of a large file, git's id of any other (LoRA formats dossier 3.1)."""
        return self.sha256 if self.lfs else self.oid


def inline_file(content: bytes, sha256: str) -> HubFile:
    """Describe a file that is kept in git itself."""
    return HubFile(sha256, len(content), git_oid(content), lfs=False)


def pointer(sha256: str, size: int) -> bytes:
    """Write the pointer that stands for a large file (Git LFS specification, version 1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def large_file(sha256: str, size: int) -> HubFile:
    """Describe a file that is kept as a large one."""
    return HubFile(sha256, size, git_oid(pointer(sha256, size)), lfs=True)


def git_oid(content: bytes, kind: str = "blob") -> str:
    """Give git's id of a content: SHA-1 over kind, length and bytes."""
    head = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class RepoRecord:
    """A repository; `id` is `owner/name`, `head` the newest commit."""

    id: str
    head: str
    private: bool
    gated: bool
    created_at: str

    @property
    def owner(self) -> str:
        """The account it belongs to."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """An immutable state of a repository; `files` are the fields of a `HubFile` by path."""

    id: str
    repo: str
    parent: str | None
    title: str
    message: str
    created_at: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tree(self) -> dict[str, HubFile]:
        """Give its files by path, in the order of their paths."""
        return {path: HubFile(**self.files[path]) for path in sorted(self.files)}


def new_commit(
    repo: str, parent: str | None, title: str, message: str, created_at: str, tree: Mapping[str, HubFile]
) -> CommitRecord:
    """Make a commit, whose id follows from everything in it and from its parent, as in git."""
    files = {path: _fields(tree[path]) for path in sorted(tree)}
    commit = CommitRecord("", repo, parent, title, message, created_at, files)
    content = json.dumps([repo, parent, title, message, created_at, files]).encode()
    return replace(commit, id=git_oid(content, "commit"))


def _fields(file: HubFile) -> dict[str, Any]:
    return {"sha256": file.sha256, "size": file.size, "oid": file.oid, "lfs": file.lfs}
