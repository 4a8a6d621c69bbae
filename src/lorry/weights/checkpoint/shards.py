"""Read the headers of all files of a checkpoint, and compare them with its index and with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lorry.errors import SourceNotFound
from lorry.model.report import Finding
from lorry.weights.catalogue import StructureFault, counted, finding, some
from lorry.weights.checkpoint.index import ShardIndex
from lorry.weights.files.header import Tensor, read_header
from lorry.weights.files.listing import Entry
from lorry.weights.files.magic import recognise
from lorry.weights.files.source import ByteSource

#: Opens a file of the listing by its path.
Opener = Callable[[str], ByteSource]

#: How much an index's total may differ from the tensors' bytes: some count buffers that are not saved, and
#: an index of another save (32-bit beside 16-bit shards) is off by half. No loader reads the number.
_TOLERANCE = 0.01
_EACH = 3  # shards whose like faults are told one by one
_NAMED = 20  # tensors that a finding names


@dataclass(slots=True)
class Shards:
    """What the headers of all readable files say.

    Attributes:
        places: The file of each tensor.
        twice: Tensors that lie in more than one file.
        unread: Files whose header can't be read.
        parameters: Numbers in all tensors together.
        size: Bytes of all tensors together.
        dtypes: Tensors by data type.
        matrices: Tensors with two dimensions and more, for telling the family.
        findings: What is wrong with single files.
    """

    places: dict[str, str] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    parameters: int = 0
    size: int = 0
    dtypes: Counter[str] = field(default_factory=Counter)
    matrices: list[Tensor] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_shards(files: Sequence[Entry], another: Opener) -> Shards:
    """Read every file's header; what is wrong with one does not hide what is wrong with another.

    Args:
        files: The files.
        another: Opens one of them.
    """
    shards = Shards()
    faults: dict[str, list[tuple[str, Finding]]] = {}
    for file in files:
        broken = _read(file, another, shards)
        if broken:
            shards.unread.add(file.name)
        for found in broken:
            faults.setdefault(found.code, []).append((file.name, found))
    for alike in faults.values():
        shards.findings += _gathered(alike)
    return shards


def compare(index: ShardIndex, shards: Shards) -> Iterator[Finding]:
    """Compare the index with the headers of the files that could be read.

    Args:
        index: The index.
        shards: The headers.
    """
    places = shards.places
    readable = set(places.values())
    absent = [name for name, file in index.places.items() if file in readable and name not in places]
    moved = [name for name, file in places.items() if name in index.places and index.places[name] != file]
    moved = [name for name in moved if name not in shards.twice]
    extra = [name for name in places if name not in index.places]
    for names, said in (
        (absent, "of the index are in no file that it names for them"),
        (moved, "lie in another file than the index says"),
        (extra, "lie in the files, and the index does not name them"),
    ):
        if names:
            message = f"{counted(len(names), 'tensor')} {said}: {some(names, 3)}."
            yield finding("SHARD_MISMATCH", message, **_named(names))
    whole = not shards.unread and not absent and not extra
    if index.total and whole and abs(index.total - shards.size) > _TOLERANCE * shards.size:
        message = f"The index counts {index.total:,} bytes, and the tensors have {shards.size:,}."
        yield finding(
            "SHARD_MISMATCH", message, subject="total_size", expected=index.total, found=shards.size
        )


def duplicates(shards: Shards) -> Iterator[Finding]:
    """Report tensors that lie in two files.

    Args:
        shards: The headers.
    """
    if shards.twice:
        names = shards.twice
        message = f"{counted(len(names), 'tensor')} lie in more than one file: {some(names, 3)}."
        yield finding("SHARD_MISMATCH", message, **_named(names))


def _named(names: list[str]) -> dict[str, Any]:
    """Give tensors as evidence: some of their names, shortened, and how many there are."""
    shown = [some([name]) for name in names[:_NAMED]]
    return {"subject": shown[0], "tensors": shown, "count": len(names)}


def _read(file: Entry, another: Opener, shards: Shards) -> tuple[Finding, ...]:
    """Add a file's header to the others', or say what is wrong with it."""
    try:
        source = another(file.path)
        foreign = recognise(source)
        if foreign is not None:
            return (foreign[1],)
        header = read_header(source)
    except StructureFault as broken:
        return broken.findings
    except (SourceNotFound, OSError, KeyError):
        message = f"{file.name} is listed, but it can't be opened."
        return (finding("SHARD_MISSING", message, subject=file.name),)
    for tensor in header.tensors:
        if tensor.name in shards.places:
            shards.twice.append(tensor.name)
            continue
        shards.places[tensor.name] = file.name
        shards.parameters += tensor.count
        shards.size += tensor.end - tensor.begin
        if len(tensor.shape) > 1:
            shards.matrices.append(tensor)
    shards.dtypes.update(tensor.dtype for tensor in header.tensors)
    return ()


def _gathered(alike: list[tuple[str, Finding]]) -> Iterator[Finding]:
    """Tell like faults of a few files one by one, and of many at once: a clone without LFS has them all."""
    for name, found in alike if len(alike) <= _EACH else alike[:1]:
        said = found.message if name in found.message else f"{name}: {found.message}"
        if len(alike) > _EACH:
            others = [other for other, _ in alike[1:]]
            said = (
                f"{said.rstrip('.')}; so it is with {counted(len(others), 'other shard')}: {some(others, 3)}."
            )
        evidence = {**found.evidence, "shards": [other for other, _ in alike][:_NAMED], "count": len(alike)}
        if len(alike) <= _EACH:
            evidence = {**found.evidence, "shard": name}
        yield replace(found, message=said, subject=found.subject or name, evidence=evidence)
