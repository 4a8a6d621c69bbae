"""What is heavy and asked of the gateway: a command of `lorry`, as a process of its own.

So what a check, a conversion or a database of workflows needs of memory and time is not the gateway's, and
what brings one down brings down nothing else.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lorry.errors import InternalError
from lorry.errors.data import error_from

#: How many run at a time; each takes a process.
_AT_ONCE = 4


class Errands:
    """Runs commands of `lorry` that answer with one JSON document.

    Args:
        home: Folder of Lorry's own state; everything else that they are told is in the environment.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._left: set[asyncio.Task[None]] = set()

    async def __call__(self, words: Sequence[str], seconds: float) -> Mapping[str, Any]:
        """Run a command to its end.

        Args:
            words: The command and its arguments, without `--json` and `--home`.
            seconds: How long it may take; it is ended then.

        Returns:
            What it printed.

        Raises:
            LorryError: As the command tells it.
        """
        async with self._room:
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
                child = await self._start(words, out, err)
                try:
                    await asyncio.wait_for(child.wait(), seconds)
                except TimeoutError as error:
                    raise InternalError(
                        f"`lorry {' '.join(words)}` did not end within {seconds:g} s.",
                        fix="Run it in a terminal, and read what it prints.",
                    ) from error
                finally:
                    if child.returncode is None:
                        child.kill()
                        await child.wait()
                return _told(words, child.returncode, out, err)

    async def begin(self, words: Sequence[str], patience: float) -> Mapping[str, Any] | None:
        """Begin a command that may take long; it goes on by itself, also when this process ends.

        Args:
            words: As above.
            patience: Seconds in which it may end, so that what is wrong from the start is told at once.

        Returns:
            What it printed; `None` while it runs.

        Raises:
            LorryError: As the command tells it.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = await self._start(words, out, err)
            try:
                await asyncio.wait_for(child.wait(), patience)
            except TimeoutError:
                reaping = asyncio.create_task(_reaped(child))
                self._left.add(reaping)
                reaping.add_done_callback(self._left.discard)
                return None
            return _told(words, child.returncode, out, err)

    async def close(self) -> None:
        """Wait for nothing that was begun: it goes on, and the journal tells its end."""
        for reaping in list(self._left):
            reaping.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _start(
        self, words: Sequence[str], out: IO[bytes], err: IO[bytes]
    ) -> asyncio.subprocess.Process:
        own = [] if words[0] == "convert" else ["--home", str(self._home)]
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lorry", *words, "--json", *own),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


async def _reaped(child: asyncio.subprocess.Process) -> None:
    await child.wait()


def _told(words: Sequence[str], status: int | None, out: IO[bytes], err: IO[bytes]) -> Mapping[str, Any]:
    out.seek(0)
    try:
        told: dict[str, Any] = json.loads(out.read())
    except ValueError as error:
        err.seek(0)
        raise InternalError(
            f"`lorry {words[0]}` ended with status {status} and told nothing.",
            evidence={"said": err.read().decode(errors="replace")[-2000:]},
        ) from error
    if "error" in told and status:
        raise error_from(told["error"])
    return told
