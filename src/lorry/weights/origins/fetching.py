"""Bring the weights onto this machine, for what has to read all of them: a conversion, an upload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lorry.errors import WeightsRejected
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.catalogue import StructureFault
from lorry.weights.files.listing import Listing
from lorry.weights.files.source import FileSource
from lorry.weights.origins.access import Access, without_secrets
from lorry.weights.origins.entries import Stated, danger
from lorry.weights.origins.folder import is_folder
from lorry.weights.origins.kinds import archive_kind
from lorry.weights.origins.reference import HubPlace, LocalPath, WebAddress, parse
from lorry.weights.trainers.choice import Choice, choose
from lorry.weights.trainers.names import index_of, shard_of

_DOCUMENTS = ("README.md", "adapter_config.json", "config.yaml")
_UNNAMED = "weights.safetensors"
_LONG = 200  # bytes of a file's name; file systems end at 255


@contextmanager
def fetched(source: str, access: Access) -> Iterator[Path]:
    """Give a file or folder on this machine that holds what a source names.

    What is a file or folder already stays where it is. An archive is unpacked, and what is far away is
    fetched, into a private folder that is removed at the end.

    Args:
        source: A path, a Hub repository, or an address, as the user wrote it.
        access: What may be asked.

    Yields:
        The file or folder; of an archive or something far away, the weights file (or its shards' index).

    Raises:
        SourceNotFound: There is no such path, it can't be read, or it is a pipe, a socket or a device.
        OptionInvalid: The source names nothing that could be opened.
        WeightsRejected: It can't be fetched or unpacked, or holds no weights; the report says why.
        DiskFull: There is no room for it.
    """
    reference = parse(source, access)
    path = without_secrets(source) if isinstance(reference, WebAddress) else source
    with ExitStack() as stack:
        try:
            if isinstance(reference, LocalPath):
                found = _local(reference.path, stack)
            elif isinstance(reference, HubPlace):
                found = _from_hub(reference, access, stack)
            else:
                found = _from_web(reference, path, access, stack)
        except StructureFault as broken:
            report = WeightsReport(WeightsSummary(path, path, 0), broken.findings)
            raise WeightsRejected(report) from broken
        yield found


def _local(place: Path, stack: ExitStack) -> Path:
    return place if is_folder(place) else _unpacked(place, place.name, stack)


def _unpacked(file: Path, name: str, stack: ExitStack) -> Path:
    """Unpack what is an archive; give everything else as it is."""
    with FileSource(file, name=name) as source:
        kind = archive_kind(source)
    if kind is None:
        return file
    from lorry.weights.origins.archive import open_archive, private_folder, unpack

    listing = open_archive(file, name, kind, stack)
    chosen = _chosen(listing)
    target = private_folder(stack)
    unpack(listing, target, skip=frozenset(chosen.others))
    return target / chosen.path


def _from_hub(place: HubPlace, access: Access, stack: ExitStack) -> Path:
    from lorry.weights.origins.archive import private_folder
    from lorry.weights.origins.download import save
    from lorry.weights.origins.hub import HubListing
    from lorry.weights.origins.web import Web

    listing = HubListing(stack.enter_context(Web(access, hub=True)), place)
    entries = {entry.path: entry.size for entry in listing.load()}
    inside = place.file or _chosen(listing).path
    wanted = _wanted(inside, entries)
    target = private_folder(stack)
    for path in wanted:
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        save(listing.web, listing.address(path), file, path, listing.subject(path))
    return _unpacked(target / inside, inside.rpartition("/")[2], stack)


def _wanted(inside: str, entries: dict[str, int]) -> list[str]:
    """List what to fetch: the weights, their shards, and the small documents beside them."""
    stem, folder = index_of(inside), inside.rpartition("/")[0]
    shards = [path for path in entries if stem is not None and shard_of(path) == stem]
    documents = [f"{folder}/{name}" if folder else name for name in _DOCUMENTS]
    beside = [path for path in documents if path in entries and path != inside]
    return [path for path in (inside, *shards, *beside) if danger(Stated(path, "file", 0)) is None]


def _from_web(address: WebAddress, path: str, access: Access, stack: ExitStack) -> Path:
    from lorry.weights.origins.archive import private_folder
    from lorry.weights.origins.download import save
    from lorry.weights.origins.web import Web

    parts = urlsplit(address.url)
    name = unquote(parts.path.rpartition("/")[2]).rpartition("/")[2]
    if danger(Stated(name, "file", 0)) is not None or len(name.encode()) > _LONG or "." not in name:
        name = _UNNAMED  # `/download/12345` and worse: nothing that a loader would take for weights
    target = private_folder(stack) / name
    save(stack.enter_context(Web(access)), address.url, target, name, path)
    return _unpacked(target, name, stack)


def _chosen(listing: Listing) -> Choice:
    chosen = choose(listing)
    if isinstance(chosen, Finding):
        raise StructureFault(chosen)
    return chosen
