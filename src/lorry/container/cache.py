"""LoRA files that were fetched, kept under the SHA-256 of their content until the room is needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lorry.errors import DiskFull

#: Bytes kept at most unless told otherwise: some hundred adapters of rank 16 for FLUX.1.
ROOM = 20 << 30


class Cache:
    """Files by digest, the least recently used leaving first.

    Args:
        folder: Where they lie; made when missing.
        room: Bytes kept at most; the newest file stays however large it is.
    """

    def __init__(self, folder: Path, room: int = ROOM) -> None:
        self._folder = folder
        self._room = room
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, digest: str) -> Path | None:
        """Find a file and note that it was used.

        Args:
            digest: SHA-256, lower-case hex.
        """
        path = self._path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def keep(self, digest: str, file: Path) -> Path:
        """Copy a file in; what is there already stays.

        Args:
            digest: Its SHA-256, lower-case hex.
            file: Where it lies now.

        Raises:
            DiskFull: There is no room for it.
        """
        if present := self.find(digest):
            return present
        return self._put(digest, lambda name: shutil.copyfile(file, name))

    def write(self, digest: str, content: bytes) -> Path:
        """Write a file.

        Args:
            digest: Its key, signs of a file name.
            content: What it holds.

        Raises:
            DiskFull: There is no room for it.
        """
        return self._put(digest, lambda name: Path(name).write_bytes(content))

    def _put(self, digest: str, write: Callable[[str], object]) -> Path:
        target = self._path(digest)
        handle, name = tempfile.mkstemp(dir=self._folder)
        os.close(handle)
        try:
            write(name)
            Path(name).replace(target)  # whole or not at all, also when the container is killed
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            evidence = {"folder": str(self._folder)}
            message = f"No room to keep {target.name} in {self._folder}: {error.strerror}."
            raise DiskFull(message, evidence=evidence) from error
        self._make_room(target)
        return target

    def link(self, digest: str, file: Path) -> Path:
        """Take a file in that never changes, without a second copy where the disk can do that.

        Args:
            digest: Its SHA-256, lower-case hex.
            file: Where it lies now.

        Raises:
            DiskFull: There is no room for it.
        """
        if present := self.find(digest):
            return present
        target = self._path(digest)
        try:
            os.link(file, target)
        except FileExistsError:
            return target
        except OSError:  # another disk, or one without links
            return self.keep(digest, file)
        os.utime(target)
        self._make_room(target)
        return target

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.safetensors"

    def _make_room(self, newest: Path) -> None:
        files = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total <= self._room:
                return
            if path != newest:
                total -= path.stat().st_size
                path.unlink()
