"""Other processes over the same claims, as a delivery meets them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from lorry.delivery.doubles import MemoryClaims
from lorry.delivery.ports import Claims, Worker
from lorry.model.events import Event


class HeardClaims(MemoryClaims):
    """Claims that tell a test when somebody was refused, and when somebody asked."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Event()
        self.was_asked = asyncio.Event()

    async def take(self, model: str, worker: str) -> bool:
        """Take a delivery that nobody living holds."""
        taken = await super().take(model, worker)
        if not taken:
            self.refused.set()
        return taken

    async def ask(self, model: str, wish: str) -> None:
        """Ask whoever holds a delivery for something."""
        await super().ask(model, wish)
        self.was_asked.set()


async def other_holds(claims: Claims, model: str, worker: str = "other") -> Worker:
    """Have a living process of another home hold a delivery."""
    other = Worker(worker, "elsewhere", 4711, "another home")
    await claims.enlist(other, 10.0)
    assert await claims.take(model, other.id)
    return other


class Cut:
    """Ends what runs at a journal's entry, as a process that dies there would.

    Args:
        after: Entries that are still written.
    """

    def __init__(self, after: int) -> None:
        self._left = after
        self._reached = asyncio.Event()

    def hear(self, _: Event) -> None:
        """Count an entry."""
        self._left -= 1
        if self._left <= 0:
            self._reached.set()

    async def off(self, request: Awaitable[object]) -> None:
        """Make a request, and leave it where the entry is reached; how it ends does not matter."""
        asked, reached = asyncio.ensure_future(request), asyncio.create_task(self._reached.wait())
        await asyncio.wait({asked, reached}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        reached.cancel()
        await asyncio.gather(asked, reached, return_exceptions=True)


async def agree(_: object) -> bool:
    """Agree to any price."""
    return True
