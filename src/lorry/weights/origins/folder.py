"""Find the weights in what the user named, and what belongs beside them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from lorry.errors import SourceNotFound, WeightsRejected
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.catalogue import finding
from lorry.weights.files.listing import READ_AT_MOST, Entry
from lorry.weights.files.source import FileSource, require_regular, unreadable
from lorry.weights.trainers.choice import choose as choose_in

#: Folders below the one that was named; trainers nest three deep (`output/<name>/checkpoint-500`).
DEEPEST = 6
#: Folders below that of a single file: its samples lie one deep, and a folder of downloads may hold anything.
BESIDE = 1
#: Files that are looked at; a training folder with all its samples and captions has some thousand.
_FILES_AT_MOST = 10_000
_WORDS = ("checkpoint", "optimizer", "scheduler")  # diffusers leaves such names out (dossier, section 1.4)
_DOCUMENTS = ("README.md", "adapter_config.json", "config.yaml")
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_PICTURES_AT_MOST, _PICTURE_BYTES = 8, 10_000_000


@dataclass(frozen=True)
class FolderListing:
    """A folder on disk, walked when it is first asked for.

    Hidden files are left out, and linked folders are not entered.

    Attributes:
        path: The folder.
        depth: How many folders deep to look.
    """

    path: Path
    depth: int = DEEPEST

    @property
    def name(self) -> str:
        """The folder as the user named it."""
        return str(self.path)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every regular file, by path; the nearest ones where there are too many."""
        found: list[Entry] = []
        level = [("", self.path)]
        for _ in range(self.depth + 1):
            below: list[tuple[str, Path]] = []
            for prefix, folder in level:
                for entry in _scanned(folder):
                    size = _size(entry)
                    if size is not None:
                        found.append(Entry(prefix + entry.name, size))
                    elif _is_own_folder(entry):
                        below.append((f"{prefix}{entry.name}/", Path(entry.path)))
                if len(found) >= _FILES_AT_MOST:
                    return tuple(sorted(found[:_FILES_AT_MOST], key=lambda each: each.path))
            level = below
        return tuple(sorted(found, key=lambda each: each.path))

    def text(self, path: str) -> str:
        """Read the beginning of a text file; empty where it is missing, elsewhere, or no regular file."""
        if path.startswith("/") or ".." in path.split("/"):
            return ""
        try:
            with FileSource(self.path / path) as source:
                return source.read(0, READ_AT_MOST).decode("utf-8", "replace")
        except (SourceNotFound, OSError, ValueError):
            return ""


def choose(source: Path) -> Path | Finding:
    """Choose the weights file, or say why none can be chosen.

    Args:
        source: A file or a folder.

    Raises:
        SourceNotFound: It does not exist or can't be read, or it is a pipe, a socket or a device.
    """
    if not is_folder(source):
        return source
    chosen = choose_in(FolderListing(source))
    return chosen if isinstance(chosen, Finding) else source / chosen.path


def locate(source: Path) -> Path:
    """Find the weights file: the file itself, or the one in a folder that is meant.

    Args:
        source: A file or a folder.

    Raises:
        SourceNotFound: The path does not exist or can't be read.
        WeightsRejected: The folder holds no weights file, or several without a choice.
    """
    chosen = choose(source)
    if isinstance(chosen, Finding):
        raise WeightsRejected(WeightsReport(WeightsSummary(str(source), str(source), 0), (chosen,)))
    return chosen


def is_folder(path: Path) -> bool:
    """Tell a folder from a file, without opening either.

    Args:
        path: What was named.

    Raises:
        SourceNotFound: Nothing is there, it can't be read, or it is a pipe, a socket or a device.
    """
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            require_regular(path, status)
            return False
        with os.scandir(path):
            return True
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def companions(file: Path) -> tuple[Path, ...]:
    """List the files to ship along: README.md, adapter_config.json, config.yaml and up to 8 sample pictures.

    Args:
        file: The weights file.
    """
    folder = file.parent
    documents = [folder / name for name in _DOCUMENTS if (folder / name).is_file()]
    pictures = [path for place in (folder, folder / "samples") for path in _pictures(place)]
    return (*documents, *pictures[:_PICTURES_AT_MOST])


def name_finding(file: PurePath) -> Finding | None:
    """Report a file name that diffusers skips in a folder.

    Args:
        file: The weights file.
    """
    words = [word for word in _WORDS if word in file.name.lower()]
    if not words or file.suffix.lower() != ".safetensors":
        return None
    return finding("NAME_CHECKPOINT", f"The name {file.name} contains `{words[0]}`.", subject=file.name)


def _scanned(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Give what a folder holds in a fixed order; nothing where it may not be read."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
            )
    except OSError:
        return
    yield from found


def _size(entry: os.DirEntry[str]) -> int | None:
    """Give the size of a regular file, also of a linked one; `None` for everything else."""
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere, or gone since
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    """Tell a folder that is no link: one of those may lead round in circles."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _PICTURES and path.is_file() and path.stat().st_size <= _PICTURE_BYTES
    ]
