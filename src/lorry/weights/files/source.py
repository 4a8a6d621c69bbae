"""Where a file's bytes come from: a narrow port, so that the same check reads a disk, memory or a network."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Protocol, Self

from lorry.errors import SourceNotFound

#: A file that was touched this recently counts as still being written (dossier LoRA formats, section 4).
QUIET_SECONDS = 2.0

_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class ByteSource(Protocol):
    """A named run of bytes that can be read from anywhere in it."""

    @property
    def name(self) -> str:
        """The name to call it by in messages."""

    @property
    def size(self) -> int:
        """Bytes in all, as known when it was opened."""

    @property
    def reach(self) -> int:
        """Bytes from the start on that can be read; fewer than `size` only where the rest is far away."""

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

    @property
    def reach(self) -> int:
        """All of them."""
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
    """A regular file on disk, or a run of its bytes, opened once.

    It is read, not mapped: a file that another process cuts while it is mapped kills the reader
    (SIGBUS), and reading into one small buffer is as fast (dossier LoRA formats, section 5).

    Args:
        path: The file.
        name: What to call it by; the file's own name when omitted.
        begin: Where the run starts; a member of an archive lies somewhere inside.
        size: Bytes of the run; up to the end of the file when omitted.

    Raises:
        SourceNotFound: The system refuses to open it, or it is a pipe, a socket, a device or a folder; none
            of them is ever waited for.
    """

    def __init__(
        self, path: Path, *, name: str | None = None, begin: int = 0, size: int | None = None
    ) -> None:
        self.name = path.name if name is None else name
        self._path, self._begin, self._lock = path, begin, Lock()
        # A pipe may take the file's place between the look and the opening; it must not block either.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            require_regular(path, path.stat())
            self._file = os.fdopen(os.open(path, flags), "rb", buffering=0)
            self._seen = os.fstat(self._file.fileno())
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        try:
            require_regular(path, self._seen)
        except SourceNotFound:
            self._file.close()
            raise
        self.size = self._seen.st_size - begin if size is None else size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def reach(self) -> int:
        """All of them."""
        return self.size

    @property
    def modified(self) -> float:
        """When the file was last written, in seconds since 1970, as known when it was opened."""
        return self._seen.st_mtime

    def unchanged(self) -> bool:
        """Tell whether the file is still the one that was opened: same size, same time, same place."""
        now = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except OSError:
            return False
        return _mark(now) == _mark(self._seen) and os.path.samestat(now, there)

    def is_same(self, other: object) -> bool:
        """Tell whether another source is the same run of the same file, in the same state.

        Args:
            other: Any source.
        """
        return (
            isinstance(other, FileSource)
            and os.path.samestat(self._seen, other._seen)
            and _mark(self._seen) == _mark(other._seen)
            and (self._begin, self.size) == (other._begin, other.size)
        )

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes from `offset`."""
        buffer = bytearray(min(count, max(self.size - offset, 0)))
        return bytes(buffer[: self.read_into(offset, memoryview(buffer))])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`."""
        buffer = buffer[: max(self.size - offset, 0)]
        done = 0
        try:
            while done < len(buffer):
                count = self._read_at(self._begin + offset + done, buffer[done:])
                if not count:
                    break
                done += count
        except OSError as error:
            raise unreadable(self._path, error) from error
        return done

    def _read_at(self, place: int, buffer: memoryview) -> int:
        """Read once from a place; two threads may do so at the same time."""
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [buffer], place)
        with self._lock:  # Windows knows no reading that leaves the file's position alone
            self._file.seek(place)
            return self._file.readinto(buffer) or 0


def unreadable(path: Path, error: OSError | ValueError) -> SourceNotFound:
    """Say what the system says about a path that it does not let read.

    Args:
        path: What was named.
        error: The system's error, or Python's for a path that can't be one.
    """
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SourceNotFound(f"{path} can't be read: {said}.", evidence={"path": str(path)})


def require_regular(path: Path, status: os.stat_result) -> None:
    """Refuse what is no regular file by its kind, before anything waits for it.

    Args:
        path: What was named.
        status: What the system says about it.

    Raises:
        SourceNotFound: It is something else.
    """
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        message = f"{path} is no regular file but {kind}."
        raise SourceNotFound(message, evidence={"path": str(path), "kind": kind})


def still_writing(modified: float, now: float) -> bool:
    """Tell whether a file was touched so recently that something may still write it.

    Args:
        modified: When it was last written, in seconds since 1970.
        now: The present time; a clock of another machine may be a little behind the file's.
    """
    return abs(now - modified) < QUIET_SECONDS


def _mark(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
