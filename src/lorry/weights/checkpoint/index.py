"""Which files a checkpoint is made of: one file, or shards and the index that says what lies where.

The form is that of transformers' and diffusers' `save_pretrained`: `model-00001-of-00004.safetensors` and
`model.safetensors.index.json` with a `weight_map` from tensors to files. An index comes from strangers: its
size and length are bounded, and it may only name files beside itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lorry.model.report import Finding
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.files.listing import Entry, Listing
from lorry.weights.files.source import ByteSource

#: Bytes of an index; those of models with 100,000 tensors have some 10 million.
LARGEST_INDEX = 32_000_000
#: Tensors of an index: more would take more memory than a check may. An index has three objects.
MOST_TENSORS, MOST_OBJECTS = 400_000, 100
#: Shards of a checkpoint; the largest published ones have some 200.
MOST_SHARDS = 500

_SHARD = re.compile(r"^(.+)-(\d{5})-of-(\d{5})\.safetensors$")
_INDEX = ".safetensors.index.json"
_SINGLE = ("model.safetensors", "diffusion_pytorch_model.safetensors")
_NAME = re.compile(r"[\w.-][\w. -]{0,199}\.safetensors")


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The files of a checkpoint, as a folder lists them.

    Attributes:
        folder: Where they lie in the listing, with `/` at the end; empty at the root.
        index: The index's name; `None` for a single file, or when it is missing.
        weights: The files with weights, by name; what an index names beside is not among them.
        announced: How many shards their names announce; 1 for a single file.
    """

    folder: str
    index: str | None
    weights: tuple[Entry, ...]
    announced: int = 1

    @property
    def first(self) -> Entry | None:
        """The file to call the checkpoint by: the single one, or the first shard."""
        return self.weights[0] if self.weights else None

    @property
    def sharded(self) -> bool:
        """Whether it is made of shards."""
        return self.index is not None or self.announced > 1


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """An index: the file of each tensor, and the sum of their bytes.

    Attributes:
        places: The file's name by the tensor's.
        total: Bytes of all tensors together, where it says so.
        findings: What is wrong with the index itself.
    """

    places: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(sorted(set(self.places.values())))


def find_checkpoint(listing: Listing, folder: str = "") -> CheckpointFiles | None:
    """Find a full checkpoint in a folder by the names of its files.

    A single file is one only beside its config.json, as a LoRA may have any name. In the folder of a whole
    pipeline the denoiser's folder is looked at.

    Args:
        listing: The folder, archive or repository.
        folder: Where to look in it, with `/` at the end; the root by default.

    Returns:
        Its files; `None` when there are none of a checkpoint.
    """
    found = _found(listing, folder)
    if found is None and any(entry.path == f"{folder}model_index.json" for entry in listing.entries):
        parts = (_found(listing, f"{folder}{part}/") for part in ("transformer", "unet"))
        return next((part for part in parts if part is not None), None)
    return found


def read_index(name: str, source: ByteSource) -> ShardIndex:
    """Read an index.

    Args:
        name: Its name.
        source: Its bytes.
    """
    if source.size > LARGEST_INDEX:
        message = f"{name} has {source.size:,} bytes; at most {LARGEST_INDEX:,} are read."
        return _useless(message, name, size=source.size)
    text = source.read(0, source.size)
    # Counted before it is parsed, as each thing of a few bytes takes some hundred once it is an object.
    if text.count(b",") > MOST_TENSORS or text.count(b"{") + text.count(b"[") > MOST_OBJECTS + text.count(
        b'"'
    ):
        return _useless(f"{name} lists more than any checkpoint has.", name, size=source.size)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it can't be read"
        return _useless(f"{name} is no JSON: {said}.", name)
    places = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(places, dict) or not places:
        return _useless(f"{name} has no weight_map.", name)
    files = set()
    for tensor, file in places.items():
        if not isinstance(file, str):
            return _useless(f"{name} gives {some([tensor])} no file's name.", name)
        files.add(file)
    climbing = sorted(file for file in files if not _NAME.fullmatch(file) or ".." in file)
    if climbing:
        number = counted(len(climbing), "file")
        message = f"{name} names {number} that can't lie beside it: {some(climbing)}; none of them is opened."
        return _useless(message, name, files=[some([file]) for file in climbing[:20]])
    if len(files) > MOST_SHARDS:
        message = f"{name} names {len(files):,} files; at most {MOST_SHARDS} are read."
        return _useless(message, name, files=len(files))
    metadata = document.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    sound = isinstance(total, int | float) and not isinstance(total, bool) and 0 <= total < 2**63
    return ShardIndex(places, int(total) if sound else None)  # type: ignore[arg-type]


def with_named(files: CheckpointFiles, index: ShardIndex, listing: Listing) -> CheckpointFiles:
    """Add the files that an index names, whatever they are called, to those of the checkpoint.

    Args:
        files: The files that were found by their names.
        index: The index.
        listing: Where they lie.
    """
    known = {entry.name for entry in files.weights}
    named = set(index.files) - known
    more = [
        entry for entry in listing.entries if entry.path == files.folder + entry.name and entry.name in named
    ]
    weights = tuple(sorted((*files.weights, *more), key=lambda entry: entry.name))
    return replace(files, weights=weights)


def missing_shards(files: CheckpointFiles, index: ShardIndex | None) -> list[str]:
    """List the files that the index names, or that the shards' own numbers announce, and that are not there.

    Args:
        files: The files that are there.
        index: The index; `None` without one.
    """
    there = {entry.name for entry in files.weights}
    if index is not None and index.places:
        return [name for name in index.files if name not in there]
    found = [_SHARD.match(name) for name in there]
    stems = [match[1] for match in found if match]
    if not stems or files.announced > MOST_SHARDS:
        return []
    wanted = (f"{stems[0]}-{n:05}-of-{files.announced:05}.safetensors" for n in range(1, files.announced + 1))
    return [name for name in wanted if name not in there]


def missing_findings(files: CheckpointFiles, missing: Sequence[str]) -> list[Finding]:
    """Report shards, or an index, that are not there.

    Args:
        files: The files that are there.
        missing: The names of missing shards.
    """
    found = []
    if files.sharded and files.index is None:
        message = (
            f"{counted(len(files.weights), 'shard')} lie without their {_INDEX[1:]}; no loader finds them."
        )
        found.append(finding("SHARD_INDEX", message, shards=len(files.weights)))
    if missing:
        total = max(files.announced, len(files.weights) + len(missing))
        message = f"{len(missing)} of {counted(total, 'shard')} are not there: {some(list(missing))}."
        found.append(finding("SHARD_MISSING", message, subject=missing[0], files=list(missing)[:50]))
    return found


def _found(listing: Listing, folder: str) -> CheckpointFiles | None:
    here = [entry for entry in listing.entries if entry.path == folder + entry.name]
    names = {entry.name: entry for entry in here}
    for name in _SINGLE:  # loaders take it before any index
        if name in names and "config.json" in names:
            return CheckpointFiles(folder, None, (names[name],))
    indexes = sorted(name for name in names if name.endswith(_INDEX))
    shards = [(entry, found) for entry in here if (found := _SHARD.match(entry.name))]
    if not indexes and not shards:
        return None
    stems = Counter((found[1], int(found[3])) for _, found in shards)
    # Several sets may lie there, such as fp16 variants: the set of the index, else the largest.
    wanted = [stem for stem in stems if f"{stem[0]}{_INDEX}" in indexes] or [
        stem for stem, _ in stems.most_common(1)
    ]
    if not wanted:
        return CheckpointFiles(folder, indexes[0], ())
    stem, count = wanted[0]
    mine = tuple(entry for entry, found in shards if (found[1], int(found[3])) == (stem, count))
    index = f"{stem}{_INDEX}"
    return CheckpointFiles(folder, index if index in names else None, mine, count)


def _useless(message: str, name: str, **evidence: Any) -> ShardIndex:
    return ShardIndex(findings=(finding("SHARD_INDEX", message, subject=name, **evidence),))
