"""What the durable runtime tells when it can't run, and when its file refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from lorry.delivery.durable_opening import fault, too_old
from lorry.errors import DiskFull, InternalError, KeyRejected, LorryError, NotWritable, StorageError


@pytest.mark.parametrize(
    ("python", "sqlite", "expected"),
    [
        ((3, 11), (3, 40, 1), False),
        ((3, 12), (3, 40, 1), True),
        ((3, 13), (3, 41, 2), True),
        ((3, 12), (3, 42, 0), False),
        ((3, 14), (3, 53, 4), False),
    ],
)
def test_an_old_sqlite_is_known_before_it_fails(
    python: tuple[int, int], sqlite: tuple[int, ...], expected: bool
) -> None:
    """Only Python 3.12 or newer with a SQLite before 3.42 can't run."""
    assert too_old(python, sqlite) is expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_READONLY, NotWritable),
        (sqlite3.SQLITE_CANTOPEN | (2 << 8), NotWritable),
        (sqlite3.SQLITE_NOTADB, StorageError),
        (sqlite3.SQLITE_ERROR, InternalError),
    ],
)
def test_a_refusal_of_the_durable_file_has_a_name(home: Path, code: int, kind: type[LorryError]) -> None:
    """What SQLite says about the durable file becomes one of our errors, with the file in it."""
    cause = sqlite3.OperationalError("no")
    cause.sqlite_errorcode = code
    error = fault(OperationalError("insert", {}, cause), home)
    assert type(error) is kind
    assert error.evidence["file"] == str(home / "deliveries.sqlite")


def test_an_error_of_ours_stays_itself(home: Path) -> None:
    """What is one of ours already is not wrapped."""
    error = KeyRejected("No.")
    assert fault(error, home) is error


def test_anything_else_is_a_fault_of_ours(home: Path) -> None:
    """An unforeseen exception keeps its type and words as evidence."""
    error = fault(ZeroDivisionError("oh"), home)
    assert type(error) is InternalError
    assert (error.evidence["type"], error.evidence["text"]) == ("ZeroDivisionError", "oh")
