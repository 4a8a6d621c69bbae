"""The exclusive right to run deliveries in a home: a lock that dies with its process."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorry.errors import DiskFull, HomeBusy, NotWritable

#: Name of the file inside a home; it holds the process id of who has the right.
LOCK_FILE = "deliveries.lock"


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Hold the exclusive right to run deliveries in a home.

    The kernel lets go of the lock when the process ends, however it ends.

    Args:
        home: Folder of Lorry's own state.

    Raises:
        HomeBusy: Another process has it; its id is named.
        StorageError: The file can't be made.
    """
    file = home / LOCK_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else NotWritable
        raise kind(f"{file} can't be opened: {error.strerror}.", evidence={"file": str(file)}) from error
    try:
        _take(descriptor, home)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, home: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        pid = int(holder) if holder.isdigit() else None
        who = f"Process {pid}" if pid else "Another process"
        raise HomeBusy(
            f"{who} runs deliveries in {home}.", evidence={"pid": pid, "home": str(home)}
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
