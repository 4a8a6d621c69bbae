"""The one place where a database's fault becomes one of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from lorry.errors import DiskFull, HomeBusy, NotWritable, StorageError

_KINDS: dict[int, tuple[type[StorageError], str]] = {
    sqlite3.SQLITE_FULL: (DiskFull, "No space is left for {file}."),
    sqlite3.SQLITE_READONLY: (NotWritable, "{file} can't be written."),
    sqlite3.SQLITE_PERM: (NotWritable, "{file} can't be written."),
    sqlite3.SQLITE_CANTOPEN: (NotWritable, "{file} can't be opened."),
    sqlite3.SQLITE_BUSY: (HomeBusy, "Another process kept {file} locked for more than 30 seconds."),
    sqlite3.SQLITE_LOCKED: (HomeBusy, "Another process kept {file} locked for more than 30 seconds."),
    sqlite3.SQLITE_NOTADB: (StorageError, "{file} is not a database of Lorry's."),
    sqlite3.SQLITE_CORRUPT: (StorageError, "{file} is damaged."),
}
_DAMAGED = "Move the file away; what runs at the platform stays there and is adopted when you ship again."


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """Turn errors of SQLite and SQLAlchemy about a file into ours.

    Args:
        file: The database.

    Raises:
        StorageError: Or its subclass for the cause, by SQLite's result code (its low byte is the primary
            code, see SQLite's "Result and Error Codes").
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        kind, sentence = _KINDS.get((code or 0) & 0xFF, (StorageError, "{file} can't be used."))
        raise kind(
            sentence.format(file=file),
            fix=_DAMAGED if kind is StorageError else None,
            evidence={"file": str(file), "sqlite_code": code, "reason": str(cause)},
        ) from error
