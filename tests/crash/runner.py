"""A process that delivers, and kills itself at a chosen point.

It imports everything once and forks for each order, so that a sweep over all entries pays the imports once.
An order is a line of JSON on standard input, the answer a line on standard output:

    {"verb": "ship", "home": …, "source": …, "name": …, "at": "entry", "number": 7, "ground": …}
    {"status": "killed", "error": null}

With `engine` in the place of `ground` it does what `lorry ship` does, with an engine at that address.
`at` is `entry` (right after the journal's entry `number` is on the disk), `point` (over the doubles: before
or right after a write or a call, which counts two), or null.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import dbos
import huggingface_hub.hf_api
import numpy as np
import sqlalchemy.dialects.sqlite.aiosqlite
import together.resources.images
from PIL import Image, PngImagePlugin

from lorry.api import Lorry
from lorry.delivery import Deliveries, Policy, Working
from lorry.delivery.doubles import Ground, MemoryPublisher, OnePlace, memory_platform
from lorry.delivery.mending import Check
from lorry.delivery.place import Place, SharedBase
from lorry.delivery.ports import Journal, Platform
from lorry.errors import LorryError
from lorry.model.events import Event
from lorry.model.forecast import Price
from lorry.model.options import ShipOptions, Wish
from lorry.model.report import WeightsReport, WeightsSummary
from lorry.settings import Settings
from lorry.store import open_store

#: Imported here so that no child imports them.
WARM = (alembic, dbos, huggingface_hub, np, sqlalchemy, together, Image, PngImagePlugin)

Order = dict[str, Any]


class Doom:
    """Ends its process at the chosen count, by SIGKILL: nothing is cleaned up."""

    def __init__(self, order: Order, kind: str) -> None:
        self._left = order["number"] if order.get("at") == kind else 0
        self.counted = 0

    def count(self) -> None:
        """Count one; the chosen one is the last."""
        self.counted += 1
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal:
    """A journal that counts its entries once they are on the disk."""

    def __init__(self, journal: Journal, doom: Doom) -> None:
        self._journal = journal
        self._doom = doom

    async def write(self, event: Event) -> None:
        """Append an event, and count it."""
        await self._journal.write(event)
        self._doom.count()

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events."""
        return await self._journal.read(model, after)


class Doomed:
    """Any port whose calls are counted twice: before they do anything, and once they are answered.

    Args:
        port: Whose calls.
        doom: Counts them.
        only: The verbs that count; all when empty.
    """

    def __init__(self, port: object, doom: Doom, only: frozenset[str] = frozenset()) -> None:
        self._port = port
        self._doom = doom
        self._only = only

    def __getattr__(self, verb: str) -> Any:
        act = getattr(self._port, verb)
        if self._only and verb not in self._only:
            return act

        async def counted(*values: Any, **named: Any) -> Any:
            self._doom.count()
            answer = await act(*values, **named)
            self._doom.count()
            return answer

        return counted


#: What writes to the store: journal, records, intents.
WRITES = frozenset({"write", "save_model", "save_placement", "forget", "open", "close", "drop"})


def doomed_platform(platform: Platform, doom: Doom) -> Platform:
    """Count the calls of all ports of a platform."""
    names = [each.name for each in fields(Platform) if each.name != "address"]
    doomed: dict[str, Any] = {name: Doomed(getattr(platform, name), doom) for name in names}
    return replace(platform, **doomed)


def plain_check(kind: str) -> Check:
    """Give a check that judges any file as a sound model of the double's base."""

    def check(source: str | Path) -> WeightsReport:
        source = Path(source)
        summary = WeightsSummary(
            path=str(source),
            file=str(source),
            size_bytes=source.stat().st_size,
            digest=hashlib.sha256(source.read_bytes()).hexdigest(),
            family="icons",
            base="icons",
            modules=3,
            trigger="TOK",
            kind=kind,
        )
        return WeightsReport(summary)

    return check


async def over_memory(order: Order) -> int:
    """Do what an order says over the doubles, whose ground lies in a file; gives the number of points."""
    home, ground, doom = Path(order["home"]), Ground(file=Path(order["ground"])), Doom(order, "point")
    place = Place(
        route=order["route"],
        platform=doomed_platform(memory_platform(ground), doom),
        publisher=Doomed(MemoryPublisher(ground), doom),
        check=plain_check(order["kind"]),
        shared={"icons": SharedBase("icons")},
        hub="memory://hub",
    )
    async with open_store(home) as store:
        doomed: Any = Doomed(store, doom, WRITES)
        deliveries = Deliveries(
            home=home,
            records=doomed,
            journal=doomed,
            intents=doomed,
            claims=store.claiming,
            places=OnePlace(place),
            now=lambda: datetime.now(UTC),
            policy=Policy(first_look=0.001, steady=0.001),
        )
        async with deliveries:
            await _act(deliveries, order)
    return doom.counted


async def over_engine(order: Order) -> int:
    """Do what an order says as the program does it: wired from settings, only the journal is doomed."""
    settings = Settings(home=Path(order["home"]), engine_url=order["engine"])
    doom = Doom(order, "entry")
    async with Lorry(settings, around=lambda journal: DoomedJournal(journal, doom)) as lorry:
        await _act(lorry, order)
    return doom.counted


async def _act(door: Deliveries | Lorry, order: Order) -> None:
    if order["verb"] == "ship" and isinstance(door, Deliveries):
        await door.ship(Path(order["source"]), order["name"], _wish(order), _agree)
    elif order["verb"] == "ship":
        await door.ship(Path(order["source"]), order["name"])
    elif order["verb"] == "resume":
        await door.resume(order["name"])
    elif order["verb"] == "work" and isinstance(door, Deliveries):
        await Working(door).sweep()
        await door.settled()
    else:
        await door.retire(order["name"])


def _wish(order: Order) -> Wish:
    return Wish(order["route"], options=ShipOptions(**order["options"]))


async def _agree(_: Price) -> bool:
    return True


def child(order: Order, answer: int) -> None:
    """Carry an order out in this process, say how it ended into `answer`, and end."""
    said: dict[str, Any] = {"status": "done", "error": None}
    try:
        points = asyncio.run(over_engine(order) if "engine" in order else over_memory(order))
        said["points"] = points or 0
    except LorryError as error:
        said = {"status": "error", "error": error.as_dict()}
    os.write(answer, json.dumps(said).encode())
    os._exit(0)


def main() -> None:
    """Take orders until standard input ends."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        answer = {"status": "killed" if killed else "crashed", "error": None}
        print(said.decode() or json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
