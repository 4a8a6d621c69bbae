"""The engine's records: JSON documents by kind and id, in one SQLite file.

Every service keeps its things as documents of one kind (`model`, `endpoint`, `repo` …). `Documents` is the
file; `Shelf` reads and writes one kind as frozen dataclasses. All calls are safe from any thread.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

from lorry.engine.storage_faults import storage_faults

_TABLE = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (kind, parent, seq);
"""


class Documents:
    """JSON documents by kind and id.

    Args:
        path: The SQLite file; it and its folder are made when missing.

    Raises:
        DiskFull: No space is left.
        NotWritable: The permissions forbid it.
    """

    def __init__(self, path: Path) -> None:
        self._where = str(path)
        self._lock = threading.RLock()
        self._depth = 0
        with storage_faults(self._where):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # WAL with NORMAL: a killed process loses nothing; a power cut may lose the last transactions,
            # never the file (sqlite.org/wal.html).
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLE)

    def close(self) -> None:
        """Close the file; a closed store can't be used again."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything written inside the block happen together or not at all; may be nested."""
        with self._lock, storage_faults(self._where):
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                # SQLite itself rolls back on a full disk; a second ROLLBACK would hide that error.
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """Read one document."""
        rows = self._read("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, key))
        return rows[0] if rows else None

    def all(self, kind: str, parent: str | None = None) -> list[dict[str, Any]]:
        """Read all documents of a kind (and of one parent), in the order in which they were made."""
        if parent is None:
            return self._read("SELECT body FROM documents WHERE kind = ? ORDER BY seq", (kind,))
        return self._read(
            "SELECT body FROM documents WHERE kind = ? AND parent = ? ORDER BY seq", (kind, parent)
        )

    def put(self, kind: str, key: str, body: dict[str, Any], parent: str = "") -> None:
        """Write one document, replacing what was there and keeping its place in the order.

        Args:
            kind: Kind of thing.
            key: Its id, unique within the kind.
            body: JSON values.
            parent: Id of what it belongs to, for `all`.
        """
        with self.transaction():
            self._connection.execute(
                "INSERT INTO documents (kind, id, parent, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, id) DO UPDATE SET parent = excluded.parent, body = excluded.body",
                (kind, key, parent, json.dumps(body, separators=(",", ":"))),
            )

    def delete(self, kind: str, key: str) -> bool:
        """Delete one document; say whether it was there."""
        with self.transaction():
            cursor = self._connection.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, key))
            return cursor.rowcount > 0

    def delete_all(self, kind: str, parent: str) -> int:
        """Delete all documents of a kind and parent; say how many there were."""
        with self.transaction():
            cursor = self._connection.execute(
                "DELETE FROM documents WHERE kind = ? AND parent = ?", (kind, parent)
            )
            return cursor.rowcount

    def count(self, kind: str) -> int:
        """Count the documents of a kind."""
        with self._lock:
            row = self._connection.execute(
                "SELECT count(*) FROM documents WHERE kind = ?", (kind,)
            ).fetchone()
        return int(row[0])

    def _read(self, query: str, values: tuple[str, ...]) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._connection.execute(query, values).fetchall()
        return [json.loads(row[0]) for row in rows]


T = TypeVar("T")


class Shelf(Generic[T]):
    """The documents of one kind, as frozen dataclasses whose fields are JSON values.

    Args:
        documents: Where they lie.
        kind: Their kind.
        shape: Their dataclass; it must have a field `id`.
        parent: Name of the field that holds the id of what they belong to.
    """

    def __init__(self, documents: Documents, kind: str, shape: type[T], parent: str | None = None) -> None:
        self._documents = documents
        self._kind = kind
        self._shape = shape
        self._parent = parent

    def get(self, key: str) -> T | None:
        """Read one."""
        body = self._documents.get(self._kind, key)
        return None if body is None else self._shape(**body)

    def all(self, parent: str | None = None) -> list[T]:
        """Read all (of one parent), in the order in which they were made."""
        return [self._shape(**body) for body in self._documents.all(self._kind, parent)]

    def put(self, value: T) -> T:
        """Write one, replacing what was there; give it back."""
        body = asdict(value)  # type: ignore[call-overload]  # every shape is a dataclass
        self._documents.put(self._kind, body["id"], body, body[self._parent] if self._parent else "")
        return value

    def delete(self, key: str) -> bool:
        """Delete one; say whether it was there."""
        return self._documents.delete(self._kind, key)


def new_id(prefix: str) -> str:
    """Make an id such as `ml_18a9…`; ids sort in the order in which they were made.

    The first half is the machine's time, so that a page can begin after an id that is gone; the second half
    is random, so that ids can't be guessed.
    """
    return f"{prefix}_{time.time_ns():016x}{secrets.token_hex(8)}"
