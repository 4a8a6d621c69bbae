"""Whether these bytes were shipped before: one look into the file of the store, without opening the store.

`lorry check` asks this at its end. It reads with the standard library's driver, because the store's own parts
take longer to import than the whole check takes, and it must neither make a home nor upgrade its tables.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

#: Name of the file inside a home.
STORE_FILE = "lorry.sqlite"

_QUERY = "SELECT name FROM models WHERE digest = ? ORDER BY created_at LIMIT 1"


def shipped_as(home: Path, digest: str) -> str | None:
    """Find the model that was shipped from a file of these bytes.

    Args:
        home: Folder of Lorry's own state.
        digest: SHA-256 of the file, hex.

    Returns:
        The oldest model's name; `None` when there is none, and when the home has no store that can be read.
    """
    file = home / STORE_FILE
    if not file.is_file():
        return None
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
    except sqlite3.Error:
        return None  # a hint only: a store in trouble is told by the commands that need it
    try:
        found = connection.execute(_QUERY, (digest,)).fetchone()
    except sqlite3.Error:
        return None
    finally:
        connection.close()
    return str(found[0]) if found else None
