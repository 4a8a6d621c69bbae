"""Reading a journal while it grows, from this process or another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from lorry.model.events import Event


class ReadsEvents(Protocol):
    """The reading half of a journal."""

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""


async def follow(
    journal: ReadsEvents, model: str, wait: Callable[[], Awaitable[bool]], *, after: int = 0
) -> AsyncIterator[Event]:
    """Give a model's events as they come, each once and in order.

    Args:
        journal: Where they are written; other processes may be writing.
        model: Lorry's name of the model.
        wait: Called after each look; pauses, and says whether to go on looking.
        after: Only events with an id above this one.

    Yields:
        Every event, oldest first, until `wait` says no.
    """
    seen = after
    while True:
        for event in await journal.read(model, seen):
            seen = event.id
            yield event
        if not await wait():
            return
