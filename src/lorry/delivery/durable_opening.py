"""Opening DBOS: its engine over SQLite or Postgres, its settings, and what its faults mean.

Kept here of the rules of "Control-plane stack", 1.4: 1. own engine for SQLite; 6. a fixed version; 7. JSON.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorry.errors import (
    DiskFull,
    ExtraMissing,
    InternalError,
    LorryError,
    NotWritable,
    StorageError,
    Unreachable,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Name of DBOS's file inside a home, where the database is SQLite.
DURABLE_FILE = "deliveries.sqlite"

#: Fixed: by default a version is a hash of the code, so that any edit would strand what is running. It
#: changes when the workflows' steps do; what an older version began is begun anew, and adopts what exists.
VERSION = "lorry-2"


def too_old(python: tuple[int, ...], sqlite: tuple[int, ...]) -> bool:
    """Say whether DBOS can't run: with Python 3.12 or newer it uses SQL that SQLite knows since 3.42.

    Source: "Control-plane stack", 1.2 item 1. Inside DBOS it would be a failed constraint.
    """
    return python >= (3, 12) and sqlite < (3, 42)


def load() -> Any:
    """Import DBOS, whose own lines the user's terminal is spared.

    Raises:
        ExtraMissing: It can't run with this Python's SQLite.
    """
    if too_old(sys.version_info[:2], sqlite3.sqlite_version_info):
        raise ExtraMissing(
            f"This Python's SQLite is {sqlite3.sqlite_version}; with Python 3.12 or newer it must be 3.42.",
            fix="Use Python 3.11, or a Python with a newer SQLite.",
            evidence={"sqlite": sqlite3.sqlite_version, "python": sys.version.split()[0]},
        )
    logger = logging.getLogger("dbos")
    if not logger.handlers:  # otherwise DBOS writes to the user's terminal
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    from dbos import DBOS

    return DBOS


def config_of(home: Path, database: str | None, engine: Engine | None, worker: str) -> Any:
    """Give DBOS's settings.

    Args:
        home: Folder of Lorry's own state.
        database: Address of a Postgres database; `None` for the file in the home.
        engine: The engine over that file.
        worker: Id of this process.
    """
    from dbos import DBOSPortableJSONSerializer

    return {
        "name": "lorry",
        "system_database_url": database or f"sqlite:///{home / DURABLE_FILE}",
        "system_database_engine": engine,
        "application_version": VERSION,
        "executor_id": worker,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": 0.2,  # how long closing may wait for that thread
    }


def engine_of(file: Path) -> Engine:
    """Open DBOS's file: with a write-ahead log, and nothing lost at a power cut (FULL: some 4 ms a step).

    Args:
        file: Where.
    """
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def fault(error: BaseException, home: Path) -> LorryError:
    """Turn what ended a workflow from outside its steps into an error of ours.

    Args:
        error: What a workflow's task ended with.
        home: Where its file lies.
    """
    if isinstance(error, LorryError):
        return error
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    file = home / DURABLE_FILE
    evidence = {"file": str(file), "type": type(error).__name__, "text": str(error)}
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull(f"No space is left for {file}.", evidence=evidence)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return NotWritable(f"{file} can't be written.", evidence=evidence)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        fix = "Move the file away; a delivery that it knew is adopted when you ship the model again."
        return StorageError(f"{file} is damaged.", fix=fix, evidence=evidence)
    cause = getattr(error, "orig", None)
    if type(error).__name__ == "OperationalError" and code is None and cause is not None:
        said = " ".join(str(cause).split())
        return Unreachable(f"The database of the deliveries does not answer: {said}", evidence={"text": said})
    return InternalError(f"The durable runtime failed: {type(error).__name__}: {error}", evidence=evidence)
