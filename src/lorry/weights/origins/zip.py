"""The table of a zip archive, read within bounds (APPNOTE.TXT 6.3.10, PKWARE)."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from lorry.model.report import Finding
from lorry.weights.catalogue import fault, finding, some
from lorry.weights.files.source import FileSource
from lorry.weights.origins.entries import Stated, numbered

#: Bytes that are read at once at most. The whole table is read at once: 10,000 entries of 46 bytes and a path
#: fit, and the 90,000 short ones that would fit too take some 60 MB of memory before they are counted.
_TABLE_BYTES = 4 << 20
_PIECE = 1 << 20
_LOCAL = 30  # bytes of a local header before name and extra field
_ENCRYPTED = 0x1
#: LZMA and bzip2 streams may ask for gigabytes of memory to be unpacked; packers of models use neither.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class ZipTable:
    """An open zip archive.

    Args:
        path: The archive.
        packed: Its bytes.

    Raises:
        StructureFault: ARCHIVE_BROKEN or ARCHIVE_BOMB, its table can't be read.
    """

    def __init__(self, path: Path, packed: FileSource) -> None:
        self._path, self._packed = path, packed
        try:
            self._zip = zipfile.ZipFile(cast("IO[bytes]", _Bounded(packed)))
        except _BROKEN as error:
            raise self._broken(f"is cut or damaged: {str(error) or type(error).__name__}") from error
        self._members = {info.orig_filename: info for info in self._zip.infolist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def stated(self) -> Iterator[Stated]:
        """Give every entry as it is stated."""
        for info in self._zip.infolist():
            yield Stated(info.orig_filename, _kind(info), info.file_size)

    def unreadable(self) -> list[Finding]:
        """Report the entries that are encrypted or packed in a way that is not read."""
        found = []
        for word, names in (
            ("encrypted", [name for name, info in self._members.items() if info.flag_bits & _ENCRYPTED]),
            (
                "packed in a way that is not read",
                [name for name, info in self._members.items() if info.compress_type not in _METHODS],
            ),
        ):
            if names:
                message = f"{self._packed.name} has {numbered(len(names))} that are {word}: {some(names)}."
                found.append(finding("ARCHIVE_BROKEN", message, subject=names[0], entries=names[:50]))
        return found

    def size(self, name: str) -> int:
        """Give the unpacked bytes of an entry."""
        return self._members[name].file_size

    def in_place(self, name: str) -> tuple[int, int] | None:
        """Give where an entry's bytes lie in the archive and how many; `None` for one that is compressed.

        Args:
            name: The entry.

        Raises:
            StructureFault: ARCHIVE_BROKEN, its bytes are not those that were packed.
        """
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            return None
        # A damaged table may lead to a place before the beginning: zipfile adds what does not add up to each.
        header = self._packed.read(info.header_offset, _LOCAL) if info.header_offset >= 0 else b""
        if len(header) < _LOCAL or header[:4] != b"PK\x03\x04":
            raise self._broken(f"is damaged: {name} is not where the table says")
        begin = info.header_offset + _LOCAL + int.from_bytes(header[26:28], "little")
        begin += int.from_bytes(header[28:30], "little")
        for _ in self.pieces(name):
            pass  # reading to the end compares the checksum
        return begin, info.file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """Unpack an entry piece by piece; no more comes out than its table entry says.

        Args:
            name: The entry.

        Raises:
            StructureFault: ARCHIVE_BROKEN, its bytes are damaged.
        """
        info = self._members[name]
        left = info.file_size
        try:
            with self._zip.open(info) as stream:
                while piece := stream.read(_PIECE):
                    left -= len(piece)
                    yield piece
        except _BROKEN as error:
            raise self._broken(f"is damaged inside {name}: {str(error) or type(error).__name__}") from error
        if left:
            raise self._broken(f"is damaged: {left:,} of {info.file_size:,} bytes of {name} are missing")

    def _broken(self, why: str) -> Exception:
        return fault("ARCHIVE_BROKEN", f"{self._packed.name} {why}.", subject=self._packed.name)


class _Bounded(RawIOBase):
    """A source as a file for zipfile, which reads the table in one piece, however long it claims to be."""

    def __init__(self, source: FileSource) -> None:
        super().__init__()
        self._source, self._at = source, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        start = {0: 0, 1: self._at, 2: self._source.size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = max(self._source.size - self._at, 0)
        if size > _TABLE_BYTES:
            message = (
                f"The table of {self._source.name} has {size:,} bytes; {_TABLE_BYTES:,} are read at most."
            )
            raise fault("ARCHIVE_BOMB", message, subject=self._source.name, table=size, limit=_TABLE_BYTES)
        data = self._source.read(self._at, size)
        self._at += len(data)
        return data


def _kind(info: zipfile.ZipInfo) -> str:
    form = stat.S_IFMT(info.external_attr >> 16)
    if form in _KINDS:
        return _KINDS[form]
    return "folder" if info.orig_filename.endswith("/") or form == stat.S_IFDIR else "file"
