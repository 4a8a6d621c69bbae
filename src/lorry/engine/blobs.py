"""The engine's files, each kept once under the SHA-256 of its content.

Bytes first go to a temporary file while both digests are computed; only a whole and verified file is renamed
to its final name. What is interrupted leaves nothing behind but a temporary file, which the next start
removes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lorry.engine.storage_faults import storage_faults


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored content: its digests (hex) and its size in bytes."""

    sha256: str
    md5: str
    size: int


class Incoming:
    """A file that is being received; write to it, then `Blobs.keep` it.

    Attributes:
        size: Bytes received so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        with storage_faults(str(path.parent)):
            self._file = path.open("xb")

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            DiskFull: No space is left.
        """
        with storage_faults(str(self.path.parent)):
            self._file.write(data)
        self._md5.update(data)
        self._sha256.update(data)
        self.size += len(data)

    @property
    def blob(self) -> Blob:
        """The digests and the size of what was written so far."""
        return Blob(self._sha256.hexdigest(), self._md5.hexdigest(), self.size)

    def finish(self) -> Blob:
        """Bring everything to the disk and close the file."""
        with storage_faults(str(self.path.parent)):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self.blob

    def discard(self) -> None:
        """Close and delete the file, if it is still there."""
        # What could not be written stays in the buffer, and closing would try (and fail) once more.
        try:
            self._file.close()
        except OSError:
            pass
        finally:
            self.path.unlink(missing_ok=True)


class Blobs:
    """Files by the SHA-256 of their content.

    Args:
        folder: Where they lie; made when missing. Only one process may use it.

    Raises:
        DiskFull: No space is left.
        NotWritable: The permissions forbid it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        with storage_faults(str(folder)):
            self._incoming.mkdir(parents=True, exist_ok=True)
            for left in self._incoming.iterdir():
                left.unlink()

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """Open a file to receive into; what is not kept inside the block is deleted at its end."""
        receiving = Incoming(self._incoming / secrets.token_hex(16))
        try:
            yield receiving
        finally:
            receiving.discard()

    def keep(self, received: Incoming) -> Blob:
        """Store what was received; content that is already stored is not stored twice."""
        blob = received.finish()
        target = self.path(blob.sha256)
        with storage_faults(str(self._folder)):
            target.parent.mkdir(exist_ok=True)
            received.path.replace(target)
            _sync_folder(target.parent)
        return blob

    def keep_as(self, received: Incoming, target: Path) -> Blob:
        """Store what was received at a path of its own (a part of an upload), replacing what was there."""
        blob = received.finish()
        with storage_faults(str(target.parent)):
            target.parent.mkdir(parents=True, exist_ok=True)
            received.path.replace(target)
            _sync_folder(target.parent)
        return blob

    def put(self, data: bytes) -> Blob:
        """Store bytes that are already in memory."""
        with self.incoming() as receiving:
            receiving.write(data)
            return self.keep(receiving)

    def path(self, sha256: str) -> Path:
        """Say where a content lies (or would lie); check `has` for what came from outside.

        Raises:
            ValueError: It is no SHA-256 in hex.
        """
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError(f"{sha256!r} is no SHA-256 in lower-case hex")
        return self._folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Say whether a content is stored."""
        return self.path(sha256).is_file()

    def delete(self, sha256: str) -> None:
        """Delete a content; one that is not there is fine."""
        self.path(sha256).unlink(missing_ok=True)

    def oldest_first(self) -> list[Path]:
        """List the stored files by the time they were stored."""
        return sorted(self._folder.glob("??/*"), key=lambda path: path.stat().st_mtime_ns)


def _sync_folder(folder: Path) -> None:
    # A rename is durable only when its folder is (fsync(2)); not every system lets a folder be opened.
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
