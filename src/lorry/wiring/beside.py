"""Processes beside the gateway: the keeper, and a worker once there is something to deliver.

So a pass over a thousand deployments, or an upload, holds up no request, and what the official client needs
of memory is not the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from pathlib import Path
from typing import IO

_LOG = logging.getLogger("lorry.beside")

#: Seconds before a process that died is replaced, and those that one may take to end.
_AGAIN_SECONDS, _END_SECONDS = 1.0, 5.0


class Beside:
    """Runs a command of `lorry` from when it is first wanted; one that dies is replaced.

    The command ends when its standard input closes, so it ends even when this process is killed.

    Args:
        command: `keeper` or `worker`.
        home: Folder of Lorry's own state; everything else that it is told is in the environment.
        wanted: Whether it is run at all.
        quiet: Whether nobody reads what it prints; what it does is in the journal.
    """

    def __init__(self, command: str, home: Path, *, wanted: bool = True, quiet: bool = False) -> None:
        self._command, self._home, self._wanted, self._quiet = command, home, wanted, quiet
        self._watching: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Have it run from now on."""
        if self._wanted and self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name=self._command)

    async def close(self) -> None:
        """End it."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self) -> None:
        command = [sys.executable, "-m", "lorry", self._command, "--home", str(self._home)]
        out: IO[bytes] | int | None = subprocess.DEVNULL if self._quiet else None
        while True:
            child = await asyncio.create_subprocess_exec(
                *command, "--stop-with-stdin", stdin=subprocess.PIPE, stdout=out, start_new_session=True
            )
            try:
                status = await child.wait()
            finally:
                await asyncio.shield(_ended(child))
            _LOG.warning("the %s ended with status %s; it is started again", self._command, status)
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
