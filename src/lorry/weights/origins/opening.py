"""Open what the user named, whatever it is: a file, a folder, an archive, a repository, an address.

How it works: the source is read once into a reference; each kind of reference opens in its own way and gives
the same thing: the weights' bytes, and a listing of what lies around them. What can't be opened is told as
findings, so that a check of it is a report like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lorry.model.report import Finding
from lorry.weights.catalogue import StructureFault, finding, printable
from lorry.weights.files.listing import Entry, Listing
from lorry.weights.files.source import ByteSource, FileSource
from lorry.weights.origins.access import Access, without_secrets
from lorry.weights.origins.folder import BESIDE, FolderListing, is_folder, name_finding
from lorry.weights.origins.kinds import archive_kind
from lorry.weights.origins.opened import Opened, Unopened
from lorry.weights.origins.reference import HubPlace, LocalPath, WebAddress, parse
from lorry.weights.trainers.choice import Choice, choose

__all__ = ["Opened", "Unopened", "opened"]

if TYPE_CHECKING:
    from lorry.weights.origins.head import Head
    from lorry.weights.origins.hub import HubListing


@contextmanager
def opened(source: str, access: Access) -> Iterator[Opened | Unopened]:
    """Open the weights that a source holds.

    Args:
        source: A path, a Hub repository, or an address, as the user wrote it.
        access: What may be asked.

    Yields:
        The weights, or why they can't be opened.

    Raises:
        SourceNotFound: There is no such path, it can't be read, or it is a pipe, a socket or a device.
        OptionInvalid: The source names nothing that could be opened.
        DiskFull: An archive can't be unpacked for lack of room.
    """
    reference = parse(source, access)
    path = without_secrets(source) if isinstance(reference, WebAddress) else source
    with ExitStack() as stack:
        result: Opened | Unopened
        try:
            if isinstance(reference, LocalPath):
                result = _local(reference.path, path, stack)
            elif isinstance(reference, HubPlace):
                result = _hub(reference, path, access, stack)
            else:
                result = _web(reference, path, access, stack)
        except StructureFault as broken:
            result = Unopened(path, path, broken.findings)
        yield result


def _local(place: Path, path: str, stack: ExitStack) -> Opened | Unopened:
    if not is_folder(place):
        return _file(place, place.name, path, stack)
    listing = FolderListing(place)
    chosen = choose(listing)
    if isinstance(chosen, Finding):
        return Unopened(path, path, (chosen,))

    def another(inside: str) -> FileSource:
        return stack.enter_context(FileSource(place / inside))

    source = another(chosen.path)
    return _named(
        Opened(
            path,
            str(place / chosen.path),
            source,
            listing,
            chosen.path,
            another,
            local=place / chosen.path,
            disk=source,
            chosen=chosen,
        )
    )


def _file(file: Path, name: str, path: str, stack: ExitStack) -> Opened | Unopened:
    """Open a file on disk: weights, an archive of them, or something else that the check will name."""
    source = stack.enter_context(FileSource(file, name=name))
    kind = archive_kind(source)
    if kind is not None:
        return _archive(source, file, kind, path, stack)
    folder = file.parent

    def another(inside: str) -> ByteSource:
        return stack.enter_context(FileSource(folder / inside))

    return _named(
        Opened(path, path, source, FolderListing(folder, BESIDE), file.name, another, local=file, disk=source)
    )


def _archive(packed: FileSource, file: Path, kind: str, path: str, stack: ExitStack) -> Opened | Unopened:
    from lorry.weights.origins.archive import open_archive

    listing = open_archive(file, packed.name, kind, stack)
    chosen = choose(listing)
    if isinstance(chosen, Finding):
        if any(entry.name == "data.pkl" for entry in listing.entries):
            message = f"{packed.name} is a PyTorch pickle (zip), which Lorry never opens."
            chosen = finding("FILE_PICKLE", message, kind="zip")
        return Unopened(path, path, (chosen,))
    shown = printable(f"{path}:{chosen.path}")  # a stranger named it
    source = listing.source(chosen.path)
    return _named(
        Opened(path, shown, source, listing, chosen.path, listing.source, disk=packed, chosen=chosen)
    )


def _hub(place: HubPlace, path: str, access: Access, stack: ExitStack) -> Opened | Unopened:
    from lorry.weights.origins.hub import HubListing
    from lorry.weights.origins.web import Web

    listing = HubListing(stack.enter_context(Web(access, hub=True)), place)
    try:
        chosen: Choice | None = None
        if place.file is None:
            listing.load()
            choice = choose(listing)
            if isinstance(choice, Finding):
                return Unopened(path, path, (choice,), revision=listing.revision)
            chosen = choice
        inside = chosen.path if chosen else str(place.file)
        head = listing.head(inside)
        if archive_kind(head.source) is not None:
            fetched = _fetched_archive(listing.web, listing.address(inside), head.source.name, path, stack)
            return replace(fetched, revision=listing.revision)
    except StructureFault as broken:
        return Unopened(path, path, _not_there(broken, place), revision=listing.revision)
    return _far(head, path, listing.subject(inside), listing, inside, chosen)


def _web(address: WebAddress, path: str, access: Access, stack: ExitStack) -> Opened | Unopened:
    from lorry.weights.origins.head import AloneListing, read_head
    from lorry.weights.origins.web import Web

    web = stack.enter_context(Web(access))
    parts = urlsplit(address.url)
    name = unquote(parts.path.rpartition("/")[2]).rpartition("/")[2] or parts.netloc
    head = read_head(web, address.url, name, path)
    if archive_kind(head.source) is not None:
        return _fetched_archive(web, address.url, name, path, stack)
    listing = AloneListing(parts.netloc, (Entry(name, head.source.size),))
    return _far(head, path, path, listing, name, None)


def _far(
    head: Head,
    path: str,
    file: str,
    listing: HubListing | Listing,
    inside: str,
    chosen: Choice | None,
) -> Opened | Unopened:
    """Give what was fetched of a file far away, unless its size already says that it is broken."""
    from lorry.weights.origins.head import size_findings
    from lorry.weights.origins.hub import HubListing

    file = printable(file)
    wrong = size_findings(head, file)
    if wrong:
        return Unopened(path, file, wrong, head.source.size, head.revision)
    result = Opened(
        path,
        file,
        head.source,
        listing,
        inside,
        _no_other,
        deep=False,
        revision=head.revision,
        digest=head.digest,
        chosen=chosen,
    )
    if isinstance(listing, HubListing):
        result = replace(
            result,
            another=lambda other: listing.head(other).source,
            revision=listing.revision,
            digest=head.digest or listing.digest(inside),
            late=lambda: tuple(listing.faults),
        )
    return _named(result)


def _fetched_archive(web: object, url: str, name: str, path: str, stack: ExitStack) -> Opened | Unopened:
    """Fetch an archive: what lies in it can only be told from all of it."""
    from lorry.weights.origins.download import download
    from lorry.weights.origins.web import Web

    assert isinstance(web, Web)  # noqa: S101 - imported only when it is used
    file = download(web, url, name, path, stack)
    result = _file(file, name, path, stack)
    return replace(result, local=None, disk=None) if isinstance(result, Opened) else result


def _named(result: Opened) -> Opened:
    """Add what the file's name says to loaders."""
    found = name_finding(PurePosixPath(result.inside))
    return replace(result, findings=(*result.findings, found)) if found else result


def _no_other(inside: str) -> ByteSource:
    raise KeyError(inside)


def _not_there(broken: StructureFault, place: HubPlace) -> tuple[Finding, ...]:
    """Say that no path of the name exists either, where the user may have meant one."""
    first, *rest = broken.findings
    if place.short and first.code in ("REMOTE_NOT_FOUND", "REMOTE_PRIVATE", "REMOTE_UNREACHABLE"):
        message = f"{first.message} There is no file or folder {place.repo} here either."
        first = replace(first, message=message)
    return (first, *rest)
