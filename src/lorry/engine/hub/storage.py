"""Repositories and their history. A commit is immutable: paths, each with the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lorry.engine.clock import stamp
from lorry.engine.repositories import RepoFile
from lorry.engine.works import Works

#: Who owns what is created without an owner.
OWNER = "local"
MAIN = "main"

_COMMIT = re.compile(r"[0-9a-f]{40}")
#: What the Hub takes as a name ("repo_id" in huggingface_hub's validators), for owner and name alike.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a commit.

    Attributes:
        path: Its path in the repository.
        sha256: Digest of its content, which lies in the blobs.
        size: Bytes.
        oid: What git would call it: of the content, or of the LFS pointer.
        lfs: Whether it is an LFS file.
    """

    path: str
    sha256: str
    size: int
    oid: str
    lfs: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repository, by its files in order of their paths."""

    oid: str
    parent: str | None
    title: str
    message: str
    date: str
    files: tuple[StoredFile, ...]

    def file(self, path: str) -> StoredFile | None:
        """Find a file by its path."""
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository: its id (`owner/name`), and the commit that `main` is at."""

    id: str
    private: bool
    created_at: str
    head: str


class Storage:
    """All repositories of one engine.

    Args:
        works: The engine's state and time.
    """

    def __init__(self, works: Works) -> None:
        self.works = works

    def files(self, repo: str, revision: str = MAIN) -> tuple[RepoFile, ...] | None:
        """List the files of `owner/name` at a branch or commit; `None` when it is not there."""
        commit = self.commit(repo, revision)
        if commit is None:
            return None
        return tuple(RepoFile(file.path, file.sha256, file.size) for file in commit.files)

    def count(self) -> int:
        """Count the repositories."""
        return self.works.documents.count("repo")

    def repos(self) -> list[Repo]:
        """Read all repositories, oldest first."""
        return [Repo(**body) for body in self.works.documents.all("repo")]

    def repo(self, repo: str) -> Repo | None:
        """Read a repository."""
        body = self.works.documents.get("repo", repo)
        return Repo(**body) if body else None

    def create(self, repo: str, *, private: bool) -> Repo:
        """Make an empty repository with its first commit."""
        now = stamp(self.works.clock.now())
        first = _commit(None, "initial commit", "", now, ())
        made = Repo(repo, private, now, first.oid)
        with self.works.documents.transaction():
            self._keep(repo, first)
            self.works.documents.put("repo", repo, asdict(made))
        return made

    def delete(self, repo: str) -> bool:
        """Delete a repository with its history; say whether it was there.

        Contents stay in the blobs: models may use them too.
        """
        with self.works.documents.transaction():
            self.works.documents.delete_all("commit", repo)
            return self.works.documents.delete("repo", repo)

    def commit(self, repo: str, revision: str = MAIN) -> Commit | None:
        """Read a commit by branch or id."""
        known = self.repo(repo)
        if known is None:
            return None
        if revision in (MAIN, f"refs/heads/{MAIN}", "HEAD"):
            revision = known.head
        if not _COMMIT.fullmatch(revision):
            return None
        body = self.works.documents.get("commit", f"{repo}@{revision}")
        return _from_body(body) if body else None

    def history(self, repo: str, newest: Commit) -> list[Commit]:
        """List the commits that led to one, that one first."""
        line, known = [newest], {made.oid: made for made in self._commits(repo)}
        while (parent := line[-1].parent) is not None:
            line.append(known[parent])
        return line

    def _commits(self, repo: str) -> list[Commit]:
        return [_from_body(body) for body in self.works.documents.all("commit", repo)]

    def advance(
        self,
        repo: str,
        title: str,
        message: str,
        added: Sequence[StoredFile],
        deleted: Sequence[str],
        parent: str | None,
    ) -> Commit | None:
        """Commit changes on top of `main`.

        Args:
            repo: `owner/name`, which exists.
            title: First line of the message.
            message: The rest.
            added: Files that are new or changed.
            deleted: Paths that go; a path that ends with `/` takes the folder.
            parent: Commit that `main` has to be at; any when `None`.

        Returns:
            The new commit, or `None` when `main` is not at `parent`.
        """
        with self.works.documents.transaction():
            head = self.commit(repo)
            known = self.repo(repo)
            if head is None or known is None or (parent and parent != head.oid):
                return None
            kept = {file.path: file for file in head.files if not is_deleted(file.path, deleted)}
            kept |= {file.path: file for file in added}
            files = tuple(kept[path] for path in sorted(kept))
            made = _commit(head.oid, title, message, stamp(self.works.clock.now()), files)
            self._keep(repo, made)
            self.works.documents.put("repo", repo, {**asdict(known), "head": made.oid})
        return made

    def _keep(self, repo: str, commit: Commit) -> None:
        self.works.documents.put("commit", f"{repo}@{commit.oid}", asdict(commit), parent=repo)


def valid_repo_id(owner: str, name: str) -> bool:
    """Tell whether these can be a repository's owner and name."""
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
        return False
    return ".." not in name and "--" not in name and not name.endswith((".git", ".ipynb"))


def safe_path(path: str) -> bool:
    """Tell whether a path stays inside its repository."""
    parts = path.split("/")
    return not {"", ".", "..", ".git"} & set(parts) and "\\" not in path and "\0" not in path


def clash(paths: Iterable[str]) -> str | None:
    """Find a path that would have to be a file and a folder; `None` when all fit together."""
    files = set(paths)
    for path in sorted(files):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if (folder := "/".join(parts[:depth])) in files:
                return folder
    return None


def is_deleted(path: str, deleted: Iterable[str]) -> bool:
    """Tell whether a file goes, when these paths do; one that ends with `/` is a folder."""
    return any(path == gone or (gone.endswith("/") and path.startswith(gone)) for gone in deleted)


def stored(path: str, sha256: str, size: int, content: bytes | None = None) -> StoredFile:
    """Describe a file of a commit as git names it.

    Args:
        path: Its path.
        sha256: Digest of its content.
        size: Bytes of its content.
        content: The content of a regular file; `None` for an LFS file.
    """
    lfs = content is None
    data = pointer(sha256, size) if content is None else content
    return StoredFile(path, sha256, size, _git_blob(data), lfs)


def pointer(sha256: str, size: int) -> bytes:
    """Write the LFS pointer of a content (git-lfs specification, "The Pointer")."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def _git_blob(data: bytes) -> str:
    # "blob SIZE\0CONTENT", SHA-1: git's own object id, which the client compares to skip unchanged files.
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _commit(parent: str | None, title: str, message: str, date: str, files: tuple[StoredFile, ...]) -> Commit:
    content = json.dumps([parent, title, message, date, [asdict(file) for file in files]])
    oid = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
    return Commit(oid, parent, title, message, date, files)


def _from_body(body: Mapping[str, Any]) -> Commit:
    return Commit(**{**body, "files": tuple(StoredFile(**file) for file in body["files"])})
