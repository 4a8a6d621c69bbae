"""Writing deliveries down from the gateway, by a process of its own.

So what a check and a database of workflows need of memory and time is not the gateway's, and a source that
brings it down brings down nothing else.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorry.errors import InternalError
from lorry.errors.data import error_from
from lorry.model.batch import Order

#: How many are checked at a time; each takes a process.
_AT_ONCE = 4
#: Seconds that a check may take: of a repository only the header is fetched.
_SECONDS = 120.0


class HandsOver:
    """Runs `lorry ship --detach`.

    Args:
        home: Folder of Lorry's own state; everything else that it is told is in the environment.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, order: Order, *, agree: bool) -> Mapping[str, Any]:
        """Check a model and write down that it shall be shipped.

        Args:
            order: What, and how.
            agree: Whether something may be started that bills.

        Returns:
            The placement, as data.

        Raises:
            LorryError: As `lorry ship` would tell it.
        """
        async with self._room:
            child = await asyncio.create_subprocess_exec(
                *self._command(order, agree=agree),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            try:
                out, err = await asyncio.wait_for(child.communicate(), _SECONDS)
            except TimeoutError as error:
                raise InternalError(
                    f"{order.source} was not checked within {_SECONDS:g} s.",
                    fix=f"Run `lorry check {order.source}`.",
                ) from error
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        try:
            told: dict[str, Any] = json.loads(out)
        except ValueError as error:
            raise InternalError(
                f"`lorry ship` ended with status {child.returncode} and told nothing.",
                evidence={"said": err.decode(errors="replace")[-2000:]},
            ) from error
        if "error" in told and child.returncode:
            raise error_from(told["error"])
        return told

    def _command(self, order: Order, *, agree: bool) -> list[str]:
        command = [sys.executable, "-m", "lorry", "ship", order.source, "--name", order.name]
        command += ["--route", order.route, "--detach", "--json", "--home", str(self._home)]
        command += ["--rehearse"] if order.rehearse else []
        command += ["--base", order.options.base] if order.options.base else []
        return [*command, "--yes"] if agree else command
