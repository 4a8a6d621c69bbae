"""Kept contents on this machine's disk, by their SHA-256."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lorry.generation.files import storage_error


class DiskBlobs:
    """`lorry.generation.ports.Blobs` in a folder: `ab/abcd…`, written aside and moved in one instant.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, content: bytes, digest: str) -> None:
        """Keep a content durably, by its SHA-256, hex."""
        await asyncio.to_thread(self._put, content, digest)

    async def get(self, digest: str) -> bytes | None:
        """Read a content; `None` when it is not kept any more."""
        return await asyncio.to_thread(self._get, digest)

    async def forget(self, before: datetime) -> int:
        """Forget what was kept last before a time; say how many."""
        return await asyncio.to_thread(self._forget, before.timestamp())

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _put(self, content: bytes, digest: str) -> None:
        path = self._path(digest)
        try:
            if path.exists():
                os.utime(path)  # it is wanted again, so its days begin anew
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{digest}.{secrets.token_hex(4)}")
            try:
                _write_through(aside, content)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, path) from error

    def _get(self, digest: str) -> bytes | None:
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, self._path(digest)) from error

    def _forget(self, before: float) -> int:
        gone = 0
        for path in self._folder.glob("??/*"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    gone += 1
        return gone


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
