"""Locks on files that die with their process, however it ends: the kernel lets go of them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorry.errors import DiskFull, NotWritable


def lock(file: Path, *, wait: bool = False) -> int | None:
    """Lock a file for this process, making it and its folder when they are missing.

    Args:
        file: Which.
        wait: Whether to wait for whoever has it.

    Returns:
        What `unlock` takes; `None` when another has it.

    Raises:
        StorageError: The file can't be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else NotWritable
        raise kind(f"{file} can't be opened: {error.strerror}.", evidence={"file": str(file)}) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(held)
        return None
    return held


def unlock(held: int) -> None:
    """Let go of a lock.

    Args:
        held: What `lock` gave.
    """
    os.close(held)


def is_held(file: Path) -> bool:
    """Say whether a living process has a file locked; one that is not there is locked by nobody.

    Args:
        file: Which.
    """
    if not file.exists():
        return False
    held = lock(file)
    if held is None:
        return True
    unlock(held)
    return False


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Do something while no other process does the same, waiting for it.

    Args:
        file: What stands for it.

    Raises:
        StorageError: The file can't be made.
    """
    held = lock(file, wait=True)
    try:
        yield
    finally:
        if held is not None:
            unlock(held)
