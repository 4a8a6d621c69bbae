"""How far an upload came, kept on disk so that another process can go on with it.

The platform gives an address for every part once, when an upload begins, and takes the storage's tags of all
parts when it ends (dossier 2.3); it has no call that lists what is there. So whoever wants to go on after a
crash has to remember both. The addresses carry their own permission: the file is for its owner's eyes only.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Tags = dict[str, dict[int, str]]

#: Seconds after which an upload that nobody went on with is forgotten; a presigned address lasts 7 days.
_ABANDONED = 8 * 24 * 3600.0


@dataclass(slots=True)
class Begun:
    """An upload under way.

    Attributes:
        answer: What the platform gave when it began.
        tags: The storage's tag of each part that is there, by file and number.
    """

    answer: dict[str, Any]
    tags: Tags = field(default_factory=dict)


class Kept(Protocol):
    """Remembers uploads under way."""

    def load(self, key: str) -> Begun | None:
        """Give the upload of a key, if one is under way."""

    def save(self, key: str, begun: Begun) -> None:
        """Remember how far an upload came."""

    def forget(self, key: str) -> None:
        """Forget an upload; one that is not there is fine."""


def upload_key(address: str, model: str, hashes: Mapping[str, str]) -> str:
    """Name an upload by what it is: other files, another model or another platform are another upload.

    Args:
        address: The platform.
        model: Id of the model record.
        hashes: Hash of each file, by its name there.
    """
    said = json.dumps([address, model, sorted(hashes.items())])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


class NothingKept:
    """Remembers nothing: each upload begins anew."""

    def load(self, key: str) -> Begun | None:  # noqa: ARG002 - the port's
        """Give nothing."""
        return None

    def save(self, key: str, begun: Begun) -> None:
        """Remember nothing."""

    def forget(self, key: str) -> None:
        """Forget nothing."""


@dataclass(frozen=True, slots=True)
class KeptInFolder:
    """Remembers uploads as files in a folder, each whole or not there.

    Attributes:
        folder: Where; made when it is first needed.
    """

    folder: Path

    def load(self, key: str) -> Begun | None:
        """Give the upload of a key; a file that can't be read is as good as none."""
        try:
            kept = json.loads(self._path(key).read_text(encoding="utf-8"))
            tags = {
                str(name): {int(number): str(tag) for number, tag in parts.items()}
                for name, parts in kept["tags"].items()
            }
            return Begun(dict(kept["answer"]), tags)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def save(self, key: str, begun: Begun) -> None:
        """Remember how far an upload came; a disk that is full costs the way back, not the upload."""
        path = self._path(key)
        half = path.with_suffix(".half")
        content = json.dumps({"answer": begun.answer, "tags": begun.tags})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                self._clear_away()
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(content)
            half.replace(path)
        except OSError:
            with suppress(OSError):
                half.unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Forget an upload; one that is not there is fine, and one that stays has addresses that run out."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _clear_away(self) -> None:
        """Forget uploads that nobody went on with: their addresses have run out long ago."""
        for file in self.folder.glob("*.json"):
            if time.time() - file.stat().st_mtime > _ABANDONED:
                file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


class Ledger:
    """One upload's way through a memory: each step is written before the next is taken.

    A write is a few hundred kilobytes at the most. It is made in place and not in a thread, so that two of
    them never meet, whichever part arrives or is called off meanwhile.

    Args:
        kept: Remembers it.
        key: Names it there.
    """

    def __init__(self, kept: Kept, key: str) -> None:
        self._kept = kept
        self._key = key
        self.begun = kept.load(key)

    def begin(self, answer: dict[str, Any]) -> Begun:
        """Write down what the platform gave for a new upload."""
        self.begun = Begun(answer)
        self._kept.save(self._key, self.begun)
        return self.begun

    def note(self, file: str, number: int, tag: str) -> None:
        """Write down that a part is there."""
        if self.begun is not None:
            self.begun.tags.setdefault(file, {})[number] = tag
            self._kept.save(self._key, self.begun)

    def close(self) -> None:
        """Forget the upload: it has ended, or can't go on."""
        self.begun = None
        self._kept.forget(self._key)
