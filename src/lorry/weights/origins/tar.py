"""Read the table of a tar archive in place, and nothing else of it.

Formats: POSIX.1-2024 `pax` (ustar and pax), GNU tar manual, "Basic Tar Format". Written by ourselves because
Python's own reader takes a size or a name of any length from the archive into memory before one can object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lorry.weights.catalogue import fault
from lorry.weights.files.source import ByteSource

BLOCK = 512
#: Bytes of a record that only carries a longer name or more fields; paths end at 4,096 bytes on Linux.
_RECORD_BYTES = 1 << 20
#: Bytes of all such records together: 10,000 entries with a record each take 10 MB, and with long names 20.
_RECORDS_BYTES = 32 << 20

#: A longer name, a longer target of a link, fields of the next entry, fields of all entries.
_RECORDS = frozenset({b"L", b"K", b"x", b"g"})
_REGULAR = frozenset({b"0", b"\0", b"7"})
_KINDS = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


@dataclass(frozen=True, slots=True)
class TarMember:
    """An entry as the archive states it.

    Attributes:
        name: Its path, unjudged.
        kind: `file`, `folder`, or what it is instead (`a link`).
        begin: Where its bytes start in the archive.
        size: Bytes.
    """

    name: str
    kind: str
    begin: int
    size: int


def looks_like_tar(head: bytes) -> bool:
    """Tell a tar archive from its first block.

    Args:
        head: The first 512 bytes.
    """
    return head[257:262] == b"ustar" or (len(head) >= BLOCK and head[:1] != b"\0" and _sum_fits(head[:BLOCK]))


def tar_members(source: ByteSource) -> Iterator[TarMember]:
    """Walk over the entries of a tar archive.

    Args:
        source: The archive.

    Raises:
        StructureFault: ARCHIVE_BROKEN, it is cut or damaged.
    """
    position, told = 0, _Told()
    while True:
        header = source.read(position, BLOCK)
        if len(header) < BLOCK:
            raise _broken(source, f"ends after {source.size:,} bytes, and its end mark is missing")
        if not header.strip(b"\0"):
            return
        if not _sum_fits(header):
            raise _broken(source, f"is damaged: the entry at byte {position:,} has a wrong checksum")
        kind, begin, length = header[156:157], position + BLOCK, _number(source, header[124:136], position)
        if kind not in _RECORDS and told.size is not None:
            length = told.size
        if begin + length > source.size:
            missing = begin + length - source.size
            message = f"is cut: {missing:,} bytes of the entry at byte {position:,} are missing"
            raise _broken(source, message)
        position = begin + -(-length // BLOCK) * BLOCK
        if kind in _RECORDS:
            told.hear(source, kind, begin, length)
        else:
            yield _member(header, kind, told.name, begin, length)
            told.name, told.size = None, None


@dataclass(slots=True)
class _Told:
    """What records say about the entry that follows them."""

    name: str | None = None
    size: int | None = None
    read: int = 0

    def hear(self, source: ByteSource, kind: bytes, begin: int, length: int) -> None:
        self.read += BLOCK + length
        if self.read > _RECORDS_BYTES:
            raise _broken(source, f"has more than {_RECORDS_BYTES:,} bytes of names and records")
        if kind == b"L":
            self.name = _record(source, begin, length).rstrip(b"\0").decode("utf-8", "replace")
        elif kind == b"x":
            fields = _fields(source, begin, length)
            self.name = fields.get("path", self.name)
            self.size = _size(source, fields, begin)


def _member(header: bytes, kind: bytes, name: str | None, begin: int, size: int) -> TarMember:
    if name is None:
        prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
        name = f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])
    if kind == b"5" or (kind in _REGULAR and name.endswith("/")):
        return TarMember(name, "folder", begin, 0)
    if kind in _REGULAR:
        return TarMember(name, "file", begin, size)
    return TarMember(name, _KINDS.get(kind, "an entry of a kind that is not read"), begin, size)


def _fields(source: ByteSource, begin: int, length: int) -> dict[str, str]:
    """Read a pax record: lines of `length key=value`."""
    data, fields, position = _record(source, begin, length), {}, 0
    while position < len(data) and data[position]:
        digits, space, _ = data[position : position + 21].partition(b" ")
        end = position + int(digits) if space and digits.isdigit() else 0
        line = data[position + len(digits) + 1 : end]
        key, equals, value = line.partition(b"=")
        if not equals or not line.endswith(b"\n") or end > len(data):
            raise _broken(source, f"is damaged: the record at byte {begin:,} can't be read")
        fields[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        position = end
    if any(key.startswith("GNU.sparse.") for key in fields):
        raise _broken(source, "holds a sparse file, which is not read")
    return fields


def _size(source: ByteSource, fields: dict[str, str], begin: int) -> int | None:
    text = fields.get("size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _broken(source, f"is damaged: the record at byte {begin:,} has no usable size")
    return int(text)


def _record(source: ByteSource, begin: int, length: int) -> bytes:
    if length > _RECORD_BYTES:
        raise _broken(source, f"has a name or record of {length:,} bytes at byte {begin:,}")
    return source.read(begin, length)


def _number(source: ByteSource, field: bytes, position: int) -> int:
    """Read octal digits, or GNU's base 256 where the first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    try:
        number = int(text, 8) if text else 0
    except ValueError:
        number = -1
    if number < 0 or not field[:1].strip(b"01234567 \0") == b"":
        raise _broken(source, f"is damaged: the entry at byte {position:,} has no usable size")
    return number


def _sum_fits(header: bytes) -> bool:
    text = header[148:156].strip(b" \0")
    if not text or text.strip(b"01234567"):
        return False
    rest = header[:148] + b" " * 8 + header[156:]
    # Some old writers added the bytes up as signed numbers.
    return int(text, 8) in (sum(rest), sum(byte - 256 if byte > 127 else byte for byte in rest))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _broken(source: ByteSource, why: str) -> Exception:
    return fault("ARCHIVE_BROKEN", f"{source.name} {why}.", subject=source.name)
