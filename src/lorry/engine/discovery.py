"""Where the engine of a home listens: the note that it leaves while it runs."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

#: Name of the note in the engine's folder.
NOTE = "engine.json"

#: A loopback connection that takes longer than this is none.
_CONNECT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Note:
    """What an engine says about itself while it runs."""

    url: str
    pid: int
    started_at: str


def write_note(home: Path, note: Note) -> None:
    """Leave the note; a reader sees the whole of it or nothing."""
    target = home / "engine" / NOTE
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(asdict(note)), encoding="utf-8")
    draft.replace(target)


def remove_note(home: Path) -> None:
    """Take the note away; none is fine."""
    (home / "engine" / NOTE).unlink(missing_ok=True)


def read_note(home: Path) -> Note | None:
    """Read the note that lies there, of an engine that may be dead by now."""
    try:
        values = json.loads((home / "engine" / NOTE).read_text(encoding="utf-8"))
        return Note(url=str(values["url"]), pid=int(values["pid"]), started_at=str(values["started_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(home: Path) -> str | None:
    """Give the address of the engine that runs on a home.

    Args:
        home: Lorry's home.

    Returns:
        Its URL without a slash at the end, or `None` when none answers; what a crash left does not count.
    """
    note = read_note(home)
    if note is None or not _alive(note.pid) or not _listens(note.url):
        return None
    return note.url


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
