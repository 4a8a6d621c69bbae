"""An archive as a listing: its table is judged as a whole, its files are read in place.

What has to be unpacked to be read (a deflated entry, a gzip stream) goes into a private folder, under a name
of ours, and disappears with it. Only `unpack` writes the archive's own names, after all of them were judged.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lorry.errors import DiskFull
from lorry.weights.catalogue import StructureFault, fault
from lorry.weights.files.listing import READ_AT_MOST, Entry
from lorry.weights.files.source import ByteSource, FileSource
from lorry.weights.origins.entries import Stated, inside, judge, unpacked_finding, visible
from lorry.weights.origins.tar import BLOCK, looks_like_tar, tar_members
from lorry.weights.origins.zip import ZipTable

PIECE = 1 << 20  # bytes that are unpacked at a time
_RESERVED = 64 << 20  # bytes of the disk that an unpacking leaves to others

#: Gives the bytes of an entry, opened for as long as the archive is.
Reader = Callable[[ExitStack], ByteSource]


@dataclass(frozen=True, slots=True)
class ArchiveListing:
    """The files of an archive.

    Attributes:
        name: What the archive is called.
        entries: Its files, by path.
    """

    name: str
    entries: tuple[Entry, ...]
    _readers: Mapping[str, Reader] = field(repr=False)
    _stack: ExitStack = field(repr=False)

    def text(self, path: str) -> str:
        """Read the beginning of a file; empty where it is missing or damaged."""
        reader = self._readers.get(path)
        if reader is None:
            return ""
        try:
            with ExitStack() as stack:
                return reader(stack).read(0, READ_AT_MOST).decode("utf-8", "replace")
        except StructureFault:
            return ""

    def source(self, path: str) -> ByteSource:
        """Open a file of the archive.

        Args:
            path: One of the entries.

        Raises:
            StructureFault: ARCHIVE_BROKEN, its bytes are damaged.
        """
        return self.opened(path, self._stack)

    def opened(self, path: str, stack: ExitStack) -> ByteSource:
        """Open a file of the archive for as long as a stack lasts.

        Args:
            path: One of the entries.
            stack: Closes it.

        Raises:
            StructureFault: ARCHIVE_BROKEN, its bytes are damaged.
        """
        return self._readers[path](stack)


def unpack(listing: ArchiveListing, target: Path, skip: Collection[str] = ()) -> None:
    """Write the files of an archive into a folder of ours.

    Args:
        listing: The archive, whose names were judged when it was opened.
        target: An empty private folder.
        skip: Paths to leave out.

    Raises:
        StructureFault: ARCHIVE_BROKEN, its bytes are damaged, or its names can't stand side by side.
        DiskFull: There is no room.
    """
    for entry in listing.entries:
        if entry.path in skip:
            continue
        place = target / entry.path
        with ExitStack() as stack:
            source = listing.opened(entry.path, stack)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                write = stack.enter_context(writing(place, entry.size))
            except (OSError, ValueError) as error:
                message = f"{listing.name} can't be unpacked: {entry.path} can't be a file beside the others."
                raise fault("ARCHIVE_BROKEN", message, subject=entry.path) from error
            for offset in range(0, entry.size, PIECE):
                write(source.read(offset, PIECE))


def open_archive(path: Path, name: str, kind: str, stack: ExitStack) -> ArchiveListing:
    """Open an archive and judge its table.

    Args:
        path: The archive.
        name: What to call it.
        kind: What `archive_kind` told.
        stack: Keeps it open.

    Raises:
        StructureFault: ARCHIVE_BROKEN, ARCHIVE_UNSAFE or ARCHIVE_BOMB, all that apply.
        DiskFull: There is no room to unpack it.
    """
    packed = stack.enter_context(FileSource(path, name=name))
    if kind == "zip":
        return _zip(path, packed, stack)
    if kind == "gzip":
        path = _gunzip(path, packed, stack)
    return _tar(path, name, packed.size, stack)


def _tar(path: Path, name: str, packed: int, stack: ExitStack) -> ArchiveListing:
    plain = stack.enter_context(FileSource(path, name=name))
    begins: dict[str, tuple[int, int]] = {}
    broken: list[StructureFault] = []

    def stated() -> Iterator[Stated]:
        try:
            for member in tar_members(plain):
                if member.kind == "file":
                    begins[inside(member.name)] = (member.begin, member.size)
                yield Stated(member.name, member.kind, member.size)
        except StructureFault as error:
            broken.append(error)

    # Every byte of a plain tar lies in the file, so its own size bounds it; a gzip stream was bounded before.
    _, findings = judge(stated(), name, max(packed, plain.size))
    if findings or broken:
        raise StructureFault(*findings, *(each for error in broken for each in error.findings))

    def reader(entry: str) -> Reader:
        begin, size = begins[entry]
        return lambda stack: stack.enter_context(
            FileSource(path, name=entry.rpartition("/")[2], begin=begin, size=size)
        )

    readers = {entry: reader(entry) for entry in begins}
    entries = [Entry(entry, begins[entry][1]) for entry in sorted(begins)]
    return ArchiveListing(name, tuple(visible(entries)), readers, stack)


def _zip(path: Path, packed: FileSource, stack: ExitStack) -> ArchiveListing:
    table = stack.enter_context(ZipTable(path, packed))
    files, findings = judge(table.stated(), packed.name, packed.size)
    findings += table.unreadable()
    if findings:
        raise StructureFault(*findings)

    def reader(entry: str, name: str) -> Reader:
        def open_entry(stack: ExitStack) -> ByteSource:
            place = table.in_place(name)
            shown = entry.rpartition("/")[2]
            if place is not None:
                return stack.enter_context(FileSource(path, name=shown, begin=place[0], size=place[1]))
            target = private_folder(stack) / "entry"
            with writing(target, table.size(name)) as file:
                for piece in table.pieces(name):
                    file(piece)
            return stack.enter_context(FileSource(target, name=shown))

        return open_entry

    names = {inside(each.name): each for each in files}
    readers = {entry: reader(entry, each.name) for entry, each in names.items()}
    entries = [Entry(entry, names[entry].size) for entry in sorted(names)]
    return ArchiveListing(packed.name, tuple(visible(entries)), readers, stack)


def _gunzip(path: Path, packed: FileSource, stack: ExitStack) -> Path:
    """Unpack a gzip stream, which can only be read from its beginning; no further than weights ever go."""
    target = private_folder(stack) / "plain.tar"
    done = 0
    try:
        with gzip.open(path, "rb") as stream, writing(target, packed.size) as write:
            while piece := stream.read(PIECE):
                if not done and not looks_like_tar(piece[:BLOCK]) and piece.strip(b"\0"):
                    message = f"{packed.name} is a gzip file, and what is packed in it is no tar archive."
                    raise fault("ARCHIVE_BROKEN", message, subject=packed.name)
                done += len(piece)
                bomb = unpacked_finding(packed.name, packed.size, done)
                if bomb is not None:
                    raise StructureFault(bomb)
                write(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        cut = "is cut" if isinstance(error, EOFError) else "is damaged"
        message = f"{packed.name} {cut}: its gzip stream can be read for {done:,} bytes only."
        raise fault("ARCHIVE_BROKEN", message, subject=packed.name, unpacked=done) from error
    return target


def private_folder(stack: ExitStack) -> Path:
    """Make a folder that only this user can enter and that goes with the stack.

    Args:
        stack: Removes it.
    """
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lorry-")))


@contextmanager
def writing(target: Path, expected: int) -> Iterator[Callable[[bytes], object]]:
    """Write a new file in pieces.

    Args:
        target: The file; nothing may be there.
        expected: Bytes that are to come at least.

    Raises:
        DiskFull: There is no room.
    """
    free = shutil.disk_usage(target.parent).free
    evidence = {"path": str(target.parent), "free": free, "needed": expected}
    if expected + _RESERVED > free:
        message = f"{target.parent} has {free:,} bytes left, too few to unpack {expected:,} there."
        raise DiskFull(message, evidence=evidence)
    with target.open("xb") as file:

        def write(piece: bytes) -> object:
            try:
                return file.write(piece)
            except OSError as error:
                raise DiskFull(
                    f"{target.parent} can't be written: {error.strerror}.", evidence=evidence
                ) from error

        yield write
