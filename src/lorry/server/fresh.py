"""Numbers that take a while to read: given at once as they were read last, and read again meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from lorry.errors import LorryError

T = TypeVar("T")

_LOG = logging.getLogger("lorry.server")

#: What is read is read again after so many times as long as it took, so that it never takes a twentieth of
#: the database's time.
_REST = 20


class Fresh(Generic[T]):
    """A value that is read again while somebody asks for it.

    Args:
        read: Reads it.
        clock: Seconds that only grow.
        least: Seconds for which it is not read again.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Callable[[], float], least: float) -> None:
        self._read, self._clock, self._least = read, clock, least
        self._due = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._value: T | None = None
        self.version = 0

    async def value(self, patience: float = 0.0) -> T | None:
        """Give it as it was read last.

        Args:
            patience: Seconds to wait for it the first time.

        Returns:
            `None` while it was never read.
        """
        if self._reading is None and self._clock() >= self._due:
            self._reading = asyncio.create_task(self._again())
        if self._value is None and self._reading is not None:
            await asyncio.wait({self._reading}, timeout=patience)
        return self._value

    async def again(self, patience: float) -> None:
        """Read it again, because something changed.

        Args:
            patience: Seconds to wait for it.
        """
        for _ in range(2):  # what is being read already may be from before
            self._due = float("-inf")
            if self._reading is None:
                self._reading = asyncio.create_task(self._again())
                break
            await asyncio.wait({self._reading}, timeout=patience)
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=patience)

    async def close(self) -> None:
        """Wait for what is being read."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def _again(self) -> None:
        began = self._clock()
        try:
            value = await self._read()
            self.version += value != self._value
            self._value = value
        except LorryError as error:  # a database that restarts: what is known goes on
            _LOG.warning("numbers for the dashboard can't be read: %s", error.message)
        finally:
            ended = self._clock()
            self._due = ended + max(self._least, _REST * (ended - began))
            self._reading = None
