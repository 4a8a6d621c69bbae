"""One delivery in the hands of one process: waited for, asked for, kept while it is worked on, let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lorry.delivery.beginning import Beginnings, Work
from lorry.delivery.custody import Custody
from lorry.delivery.refusing import busy
from lorry.delivery.run import World


class Hands:
    """Sees to it that what this process does with a model is done by nobody else, here or elsewhere.

    Args:
        world: What every delivery works with.
        custody: What this process holds.
        begin: Begins the work.
    """

    def __init__(self, world: World, custody: Custody, begin: Beginnings) -> None:
        self._world = world
        self._custody = custody
        self._begin = begin
        self._turns: dict[str, asyncio.Lock] = {}
        self._keeping: dict[Work, asyncio.Task[None]] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def on(self, name: str, *, wrest: bool = False) -> AsyncIterator[bool]:
        """Hold a delivery while its work is begun; the work then holds it until its end.

        Args:
            name: Whose.
            wrest: Whether whoever has it is asked to let go, instead of being waited for.

        Yields:
            Whether another process had it.

        Raises:
            DeliveryBusy: It was asked for, and not let go of.
        """
        async with self._turn(name):
            waited = await self._wait(name, wrest=wrest)
            try:
                yield waited
            finally:
                await self._keep_or_release(name)

    @asynccontextmanager
    async def free(self, name: str) -> AsyncIterator[bool]:
        """Hold a delivery if nobody has it; work that is begun then holds it until its end.

        Args:
            name: Whose.

        Yields:
            Whether it is held.
        """
        async with self._turn(name):
            if self._begin.running(name) or not await self._custody.take(name):
                yield False
                return
            try:
                yield True
            finally:
                await self._keep_or_release(name)

    def drop(self, name: str) -> None:
        """Stop what runs of a delivery that somebody asks for, or that was lost."""
        dropping = asyncio.ensure_future(self._begin.halt(name))
        self._dropping.add(dropping)
        dropping.add_done_callback(self._dropping.discard)

    async def let_go(self, task: Work) -> None:
        """Wait until a delivery whose work has ended is let go of."""
        if task in self._keeping:
            await asyncio.wait({self._keeping[task]})

    async def settled(self) -> None:
        """Wait until nothing runs any more of what this process began or took up."""
        while self._keeping:
            await asyncio.wait(self._keeping.values())

    async def _wait(self, name: str, *, wrest: bool) -> bool:
        pause, patience = self._world.policy.listen, 3 * self._world.policy.lease
        waited, last = 0.0, await self._last_event(name)
        while not await self._custody.take(name):
            if wrest and waited >= patience:
                held = await self._custody.holder(name)
                raise busy(name, held[1] if held else None)
            if wrest:
                await self._custody.ask(name)
            await asyncio.sleep(pause)
            waited += pause
            last = await self._relay(name, last)
        return waited > 0

    async def _relay(self, name: str, after: int) -> int:
        """Tell whoever listens here what another process does with a delivery."""
        for event in await self._world.journal.read(name, after):
            self._world.listen(event)
            after = event.id or after
        return after

    async def _last_event(self, name: str) -> int:
        told = await self._world.journal.read(name)
        return told[-1].id or 0 if told else 0

    async def _keep_or_release(self, name: str) -> None:
        task = self._begin.running(name)
        if task is None:
            await self._custody.release(name)
        elif task not in self._keeping:
            self._keeping[task] = asyncio.create_task(self._keep(name, task))

    async def _keep(self, name: str, task: Work) -> None:
        """Let go of a delivery when its work has ended and nothing else was begun."""
        await asyncio.wait({task})
        async with self._turn(name):
            self._keeping.pop(task, None)
            if self._begin.running(name) is None:
                await self._custody.release(name)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())
