"""Files that somebody dropped on a page: streamed to the disk, found again by whose they are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import re
import shutil
import time
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

from lorry.errors import BodyInvalid, BodyTooLarge, DiskFull, NotWritable, SourceNotFound

#: What a source begins with that was dropped: `dropped:ID` for all files of a drop.
DROPPED = "dropped:"

_ID = re.compile(r"[a-z0-9]{16,40}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ ()+@-]{0,150}")

#: Files in one drop: an adapter of PEFT has two or three.
_MOST = 20
#: Seconds after which what was dropped and never shipped is removed.
_OLD = 2 * 86_400.0


class Drops:
    """The folder of dropped files.

    Args:
        folder: Where they lie; made when it is needed.
        most: Bytes of one file.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self.most = folder, most

    async def take(self, owner: str | None, drop: str, name: str, content: AsyncIterator[bytes]) -> Path:
        """Write a file of a drop; half a file is never seen.

        Args:
            owner: Whose it is.
            drop: Names the drop; chosen by the page.
            name: The file's name.
            content: Its bytes, piece by piece.

        Raises:
            BodyInvalid: A name can't be used, or there are too many files.
            BodyTooLarge: It is larger than files may be.
            DiskFull: There is no room.
            NotWritable: It can't be written.
        """
        folder = self._of(owner, drop)
        if not _NAME.fullmatch(name):
            raise BodyInvalid(
                f"A file can't be called {name[:60]!r} here.",
                fix="Use letters, digits, dots, hyphens and spaces.",
            )
        part, size = folder / f".{name}.part", 0
        with _translated(folder / name):
            await asyncio.to_thread(_make, folder)
            file = await asyncio.to_thread(part.open, "wb")
        try:
            async for piece in content:
                size += len(piece)
                if size > self.most:
                    raise BodyTooLarge(
                        f"{name} is larger than {self.most / 2**20:g} MiB.",
                        fix="Raise LORRY_DROP_LIMIT where the server runs, or name a Hub repository.",
                    )
                with _translated(folder / name):
                    await asyncio.to_thread(file.write, piece)
            with _translated(folder / name):
                file.close()
                return part.replace(folder / name)
        finally:
            with contextlib.suppress(OSError):  # what could not be written can't be flushed either
                file.close()
            part.unlink(missing_ok=True)

    def place(self, owner: str | None, drop: str, name: str) -> Path:
        """Give where something can be written that counts as dropped; its folder is there."""
        folder = self._of(owner, drop)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def find(self, owner: str | None, source: str) -> str:
        """Give the path of what was dropped: the file, or the folder where there are several.

        Args:
            owner: Who asks.
            source: `dropped:ID`.

        Raises:
            SourceNotFound: Nothing of this name was dropped by them.
        """
        folder = self._of(owner, source.removeprefix(DROPPED))
        files = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
        if not files:
            raise SourceNotFound(
                "What was dropped is not here any more.", fix="Drop the file again.", evidence={"of": source}
            )
        return str(files[0] if len(files) == 1 else folder)

    def forget(self, used: Collection[str]) -> None:
        """Remove what was dropped days ago and never shipped.

        Args:
            used: Sources of the models that are known.
        """
        before = time.time() - _OLD
        for folder in self._folder.glob("*/*"):
            shipped = any(source.startswith(str(folder)) for source in used)
            with contextlib.suppress(OSError):
                if not shipped and folder.stat().st_mtime < before:
                    shutil.rmtree(folder)

    def _of(self, owner: str | None, drop: str) -> Path:
        if not _ID.fullmatch(drop):
            raise BodyInvalid(f"{drop[:60]!r} names nothing that was dropped.")
        whose = hashlib.sha256(owner.encode()).hexdigest()[:16] if owner else "house"
        return self._folder / whose / drop


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if sum(1 for _ in folder.iterdir()) >= _MOST:
        raise BodyInvalid(f"More than {_MOST} files were dropped.", fix="Drop one model at a time.")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Say of a disk that refuses what it is."""
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else NotWritable
        said = f"{path} can't be written: {error.strerror}."
        raise kind(said, evidence={"path": str(path)}) from error
