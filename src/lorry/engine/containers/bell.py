"""Wakes whoever waits for something new, from any thread."""

from __future__ import annotations

import asyncio
import threading


class Bell:
    """Rings are counted, so that one between a look and the wait for the next is not missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def rung(self) -> int:
        """How often it has rung."""
        with self._lock:
            return self._rung

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._lock:
            self._rung += 1
            woken, self._waiting = self._waiting, set()
        for loop, event in woken:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def after(self, rung: int, seconds: float | None = None) -> bool:
        """Wait until it has rung more often than that.

        Args:
            rung: What `rung` was when the caller last looked.
            seconds: How long to wait at most.

        Returns:
            Whether it rang.
        """
        event = asyncio.Event()
        entry = asyncio.get_running_loop(), event
        with self._lock:
            if self._rung != rung:
                return True
            self._waiting.add(entry)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.discard(entry)
        return True
