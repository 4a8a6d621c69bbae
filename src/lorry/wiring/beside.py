"""The keeper beside the gateway, as a process of its own.

So a pass over a thousand deployments holds up no request, and what the official client needs of memory is not
the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOG = logging.getLogger("lorry.keeper")

#: Seconds before a keeper that died is replaced, and those that one may take to end.
_AGAIN_SECONDS, _END_SECONDS = 1.0, 5.0


@asynccontextmanager
async def keeper_beside(home: Path) -> AsyncIterator[None]:
    """Run `lorry keeper` for the length of a block; one that dies is replaced.

    It ends when its standard input closes, so it ends even when this process is killed.

    Args:
        home: Folder of Lorry's own state; everything else that it is told is in the environment.
    """
    watching = asyncio.create_task(_watch(home), name="keeper")
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _watch(home: Path) -> None:
    command = [sys.executable, "-m", "lorry", "keeper", "--home", str(home), "--stop-with-stdin"]
    while True:
        child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            status = await child.wait()
        finally:
            await asyncio.shield(_ended(child))
        _LOG.warning("the keeper ended with status %s; it is started again", status)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _ended(child: asyncio.subprocess.Process) -> None:
    """Have a child end by itself, and end it where it does not."""
    if child.returncode is not None:
        return
    if child.stdin is not None:
        child.stdin.close()
    try:
        await asyncio.wait_for(child.wait(), _END_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()
