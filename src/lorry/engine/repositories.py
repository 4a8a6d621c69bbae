"""What the rest of the engine needs from its Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file of a repository; its bytes lie in the engine's blobs."""

    path: str
    sha256: str
    size: int


class Repositories(Protocol):
    """The Hub's repositories, read from inside the engine."""

    def files(self, repo: str, revision: str = "main") -> tuple[RepoFile, ...] | None:
        """List the files of `owner/name` at a branch, tag or commit; `None` when it is not there."""

    def count(self) -> int:
        """Count the repositories."""
