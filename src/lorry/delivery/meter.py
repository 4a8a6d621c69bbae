"""A stream of byte counts, told to the journal in tenths, with how fast it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

_PARTS = 10


class Meter:
    """Turns a stream of byte counts into at most ten sentences, in order.

    Args:
        say: Tells the journal: sentence and data.
    """

    def __init__(self, say: Callable[[str, Mapping[str, Any]], Awaitable[None]]) -> None:
        self._say = say
        self._part = 0
        self._told: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._began: tuple[int, float] | None = None  # what a resumed upload had sent before is no speed

    def tell(self, sent: int, total: int) -> None:
        """Take note of bytes sent and bytes in all; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._count, sent, total)

    def _count(self, sent: int, total: int) -> None:
        now = self._loop.time()
        if self._began is None:
            self._began = (sent, now)
        part = _PARTS * sent // max(total, 1)
        if part > self._part:
            self._part = part
            self._told.append(self._loop.create_task(self._write(sent, total, self._speed(sent, now))))

    def _speed(self, sent: int, now: float) -> int | None:
        """Give the bytes a second since the first count; `None` with that one."""
        before, began = self._began or (sent, now)
        return round((sent - before) / (now - began)) if sent > before and now > began else None

    async def _write(self, sent: int, total: int, speed: int | None) -> None:
        fast = f", {speed / 1e6:,.1f} MB/s" if speed is not None else ""
        async with self._turn:
            data = {"sent": sent, "total": total, "per_second": speed}
            await self._say(f"{sent:,} of {total:,} bytes{fast}.", data)

    async def settle(self) -> None:
        """Wait until all that was counted is written."""
        await asyncio.sleep(0)  # lets the counts that were handed over be counted
        await asyncio.gather(*self._told)
