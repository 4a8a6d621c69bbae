"""When to look: at once when the system tells of a change, and every few seconds all the same.

The system tells nothing of what another machine writes on a network drive (inotify is of one kernel), so the
folders are looked through in any case; being told only makes it quicker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from watchfiles import awatch

from lorry.training.watching import Watcher

#: Seconds between two looks, while something is not decided and otherwise.
SOON_SECONDS, SELDOM_SECONDS = 0.5, 5.0
#: A look through a slow drive is followed by a pause of so many times its length.
_PAUSE = 10.0


async def keep_looking(watcher: Watcher, folders: Sequence[Path], stop: asyncio.Event) -> None:
    """Look until told to stop.

    Args:
        watcher: Looks.
        folders: What it watches; the system is asked to tell of changes there.
        stop: Set when it shall end.
    """
    changed = asyncio.Event()
    told = asyncio.create_task(_told_of(folders, changed, stop))
    try:
        while not stop.is_set():
            changed.clear()
            began = time.monotonic()
            soon = await watcher.look()
            took = time.monotonic() - began
            await _either(changed, stop, max(SOON_SECONDS if soon else SELDOM_SECONDS, took * _PAUSE))
            # A file that grows is not looked at with each piece of it.
            await _either(stop, stop, SOON_SECONDS)
    finally:
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)


async def look_until_decided(watcher: Watcher) -> None:
    """Look until nothing that is there is undecided, and what was begun has ended.

    Args:
        watcher: Looks.
    """
    never = asyncio.Event()
    while await watcher.look() or watcher.busy:
        await _either(never, never, SOON_SECONDS)
    await watcher.ended()


async def _told_of(folders: Sequence[Path], changed: asyncio.Event, stop: asyncio.Event) -> None:
    """Pass on that the system tells of a change; where it can't tell, looking every few seconds is enough."""
    with contextlib.suppress(OSError, RuntimeError):
        async for _ in awatch(*folders, stop_event=stop, step=200, ignore_permission_denied=True):
            changed.set()


async def _either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    waits = {asyncio.create_task(first.wait()), asyncio.create_task(second.wait())}
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
