"""Other processes over the same claims, as a delivery meets them."""

from __future__ import annotations

import asyncio

from lorry.delivery.doubles import MemoryClaims
from lorry.delivery.ports import Claims, Worker


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
