"""The border between the operating system's refusals to write and our errors."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from lorry.errors import DiskFull, NotWritable

# EFBIG comes from a limit on the size of files (`ulimit -f`): for who writes it is the same as a full disk.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The last three: something else stands where a folder or a file has to be.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST})

# sqlite.org/rescode.html; the low byte is the primary code. An I/O error while writing is how SQLite reports
# a limit on the size of files.
_SQLITE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_SQLITE_FORBIDDEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


@contextmanager
def storage_faults(where: str) -> Iterator[None]:
    """Translate refusals of the disk inside the block.

    Args:
        where: The file or folder that is written, for the sentence.

    Raises:
        DiskFull: No space is left.
        NotWritable: The permissions forbid it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"No space is left to write in {where}.", evidence={"path": where}) from error
        if error.errno in _FORBIDDEN:
            raise NotWritable(
                f"{where} can't be written: {error.strerror}.", evidence={"path": where}
            ) from error
        raise
    except sqlite3.OperationalError as error:
        primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if primary in _SQLITE_FULL:
            raise DiskFull(f"No space is left to write in {where}.", evidence={"path": where}) from error
        if primary in _SQLITE_FORBIDDEN:
            raise NotWritable(f"{where} can't be written.", evidence={"path": where}) from error
        raise
