"""What lies below a watched folder: weights files, with size and time of writing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

#: Folders below the watched one; trainers nest three deep, and people sort theirs by month and customer.
DEEPEST = 8
#: Other files that say what weights are: a pipeline, and the two halves of an adapter for text.
_BESIDE = frozenset({"model_index.json", "adapter_config.json"})


class Stamp(NamedTuple):
    """What changes when a file is written: bytes, and nanoseconds since 1970."""

    size: int
    modified: int


def scan(folder: Path) -> Mapping[str, Stamp]:
    """List weights files, by path from the folder on with `/`.

    Hidden files and folders are left out, linked folders are not entered, and what vanishes meanwhile, or
    can't be read, is as if it were not there.

    Args:
        folder: Where to look.

    Raises:
        OSError: The folder itself can't be read.
    """
    found: dict[str, Stamp] = {}
    with os.scandir(folder):
        pass
    level = [("", str(folder))]
    for _ in range(DEEPEST + 1):
        below: list[tuple[str, str]] = []
        for prefix, path in level:
            _look(prefix, path, found, below)
        level = below
    return found


def _look(prefix: str, path: str, found: dict[str, Stamp], below: list[tuple[str, str]]) -> None:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not _can_be_told(entry.name):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        below.append((f"{prefix}{entry.name}/", entry.path))
                    elif _is_weights(entry.name):
                        status = entry.stat()
                        found[prefix + entry.name] = Stamp(status.st_size, status.st_mtime_ns)
                except OSError:
                    continue
    except OSError:
        return


def _can_be_told(name: str) -> bool:
    """Leave out names that are no text in any language: neither a journal nor a database takes them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_weights(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".safetensors", ".safetensors.index.json")) or lower in _BESIDE
