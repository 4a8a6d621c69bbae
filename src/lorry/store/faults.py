"""The one place where a database's fault becomes one of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from lorry.errors import (
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HomeBusy,
    NotWritable,
    StorageError,
)

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


#: By the beginning of SQLSTATE (Postgres' "Error Codes"); psycopg gives none where it got no connection.
_STATES: dict[str, tuple[type[StorageError], str]] = {
    "28": (DatabaseRefused, "{where} refuses the login."),
    "3D": (DatabaseRefused, "{where} does not exist."),
    "42501": (DatabaseRefused, "{where} does not allow that to this user."),
    "53100": (DiskFull, "No space is left for {where}."),
    "53": (DatabaseUnreachable, "{where} has no room for another connection."),
    "25006": (NotWritable, "{where} is read only."),
    "57": (DatabaseUnreachable, "{where} is being stopped or started."),
    "08": (DatabaseUnreachable, "{where} does not answer."),
    "": (DatabaseUnreachable, "{where} does not answer."),
}


@contextmanager
def translated(where: str | Path) -> Iterator[None]:
    """Turn errors of a database, and of SQLAlchemy about it, into ours.

    Args:
        where: The file, or the address without its password.

    Raises:
        StorageError: Or its subclass for the cause, by SQLite's result code (its low byte is the primary
            code, see SQLite's "Result and Error Codes") or by Postgres' SQLSTATE.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise (_of_postgres if _is_psycopg(cause) else _of_sqlite)(cause, where) from error


def _is_psycopg(cause: object) -> bool:
    return type(cause).__module__.partition(".")[0] == "psycopg"


def _of_sqlite(cause: object, where: str | Path) -> StorageError:
    code = getattr(cause, "sqlite_errorcode", None)
    kind, sentence = _KINDS.get((code or 0) & 0xFF, (StorageError, "{file} can't be used."))
    return kind(
        sentence.format(file=where),
        fix=_DAMAGED if kind is StorageError else None,
        evidence={"file": str(where), "sqlite_code": code, "reason": str(cause)},
    )


def _of_postgres(cause: object, where: str | Path) -> StorageError:
    state = getattr(cause, "sqlstate", None)
    said = " ".join(str(cause).split())
    known = "" if state is None else next((code for code in _STATES if code and state.startswith(code)), None)
    if state is None and "password authentication failed" in said:
        known = "28"
    elif state is None and "does not exist" in said:
        known = "3D"
    evidence = {"database": str(where), "sqlstate": state, "reason": said}
    if known is None:
        return StorageError(f"{where} can't be used: {said}", evidence=evidence)
    kind, sentence = _STATES[known]
    return kind(sentence.format(where=where), evidence=evidence)
