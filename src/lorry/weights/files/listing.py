"""What lies around a weights file: one port for a folder, an archive and a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: Bytes of a text file that are read at most; front matter, settings and captions fit.
READ_AT_MOST = 65_536


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a listing: its path from the listing's root, with `/`, and its size in bytes."""

    path: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path without the name; empty at the root."""
        return self.path.rpartition("/")[0]


class Listing(Protocol):
    """The files around some weights; what is missing or unreadable is empty, never an error."""

    @property
    def name(self) -> str:
        """What the folder, archive or repository is called."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every file, by path."""

    def text(self, path: str) -> str:
        """Read the beginning of a text file (`READ_AT_MOST` bytes, UTF-8); empty when there is none."""


@dataclass(frozen=True, slots=True)
class MemoryListing:
    """A listing in memory: path to content."""

    name: str
    content: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every file, by path."""
        return tuple(Entry(path, len(data)) for path, data in sorted(self.content.items()))

    def text(self, path: str) -> str:
        """Read the beginning of a file."""
        return self.content.get(path, b"")[:READ_AT_MOST].decode("utf-8", "replace")
