"""Where a file's bytes come from: a narrow port, so that the same check reads a disk, memory or a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self


class ByteSource(Protocol):
    """A named run of bytes that can be read from anywhere in it."""

    @property
    def name(self) -> str:
        """The name to call it by in messages."""

    @property
    def size(self) -> int:
        """Bytes in all, as known when it was opened."""

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes from `offset`; fewer only where the source ends."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; returns how many bytes there were."""


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Bytes in memory."""

    name: str
    content: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.content)

    def read(self, offset: int, count: int) -> bytes:
        """Read a slice."""
        return self.content[offset : offset + count]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Copy a slice."""
        piece = self.read(offset, len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class FileSource:
    """A file on disk, opened once.

    It is read, not mapped: a file that another process cuts while it is mapped kills the reader
    (SIGBUS), and reading into one small buffer is as fast (dossier LoRA formats, section 5).
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file: BinaryIO = path.open("rb", buffering=0)
        self.size = self._file.seek(0, 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes from `offset`."""
        buffer = bytearray(min(count, max(self.size - offset, 0)))
        return bytes(buffer[: self.read_into(offset, memoryview(buffer))])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`."""
        self._file.seek(offset)
        done = 0
        while done < len(buffer):
            count = self._file.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                break
            done += count
        return done
