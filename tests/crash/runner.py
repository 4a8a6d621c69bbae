"""A process that delivers, and kills itself after a chosen entry of the journal.

It imports everything once and forks for each order, so that a sweep over all entries pays the imports once.
An order is a line of JSON on standard input, the answer a line on standard output:

    {"verb": "ship", "home": …, "source": …, "name": …, "kill_after": 7, "ground": …}
    {"status": "killed"}
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import dbos
import numpy as np
import sqlalchemy.dialects.sqlite.aiosqlite
from PIL import Image, PngImagePlugin

from lorry.delivery import Deliveries, Policy
from lorry.delivery.doubles import Ground, MemoryPublisher, memory_platform
from lorry.delivery.ports import Journal
from lorry.errors import LorryError
from lorry.model.events import Event
from lorry.model.report import WeightsReport, WeightsSummary
from lorry.store import open_store

#: Imported here so that no child imports them.
WARM = (alembic, dbos, np, sqlalchemy, Image, PngImagePlugin)

Order = dict[str, Any]


class KillingJournal:
    """A journal that ends its process right after the `after`-th entry is on the disk."""

    def __init__(self, journal: Journal, after: int | None) -> None:
        self._journal = journal
        self._after = after
        self._written = 0

    async def write(self, event: Event) -> None:
        """Append an event, and end the process when it was the chosen one."""
        await self._journal.write(event)
        self._written += 1
        if self._written == self._after:
            os.kill(os.getpid(), signal.SIGKILL)

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events."""
        return await self._journal.read(model, after)


def plain_check(source: Path) -> WeightsReport:
    """Judge any file as a sound adapter of the double's base."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return WeightsReport(
        WeightsSummary(
            path=str(source),
            file=str(source),
            size_bytes=source.stat().st_size,
            digest=digest,
            family="icons",
            base="icons",
            modules=3,
            trigger="TOK",
        )
    )


@asynccontextmanager
async def over_memory(order: Order) -> AsyncIterator[Deliveries]:
    """Open deliveries over the doubles, whose ground lies in a file."""
    home = Path(order["home"])
    ground = Ground(file=Path(order["ground"]))
    async with open_store(home) as store:
        deliveries = Deliveries(
            home=home,
            records=store,
            journal=KillingJournal(store, order["kill_after"]),
            intents=store,
            publisher=MemoryPublisher(ground),
            platform=memory_platform(ground),
            now=lambda: datetime.now(UTC),
            policy=Policy(first_look=0.001),
            check=plain_check,
        )
        async with deliveries:
            yield deliveries


async def carry_out(order: Order) -> None:
    """Do what an order says."""
    async with over_memory(order) as deliveries:
        if order["verb"] == "ship":
            await deliveries.ship(Path(order["source"]), order["name"])
        elif order["verb"] == "resume":
            await deliveries.resume(order["name"])
        else:
            await deliveries.retire(order["name"])


def child(order: Order) -> None:
    """Carry an order out in this process and end it: 0 done, 3 with an error of ours."""
    try:
        asyncio.run(carry_out(order))
    except LorryError as error:
        print(json.dumps(error.as_dict()), file=sys.stderr)
        os._exit(3)
    os._exit(0)


def main() -> None:
    """Take orders until standard input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        said = {0: "done", 3: "error"}.get(os.waitstatus_to_exitcode(status), "crashed")
        print(json.dumps({"status": "killed" if killed else said}), flush=True)


if __name__ == "__main__":
    main()
