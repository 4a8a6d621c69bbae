"""A journal that writes no key down, whoever speaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from lorry.model.events import Event
from lorry.redaction import shown, shown_value


class _Journal(Protocol):
    async def write(self, event: Event) -> None: ...

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]: ...


class Hiding:
    """Wraps a journal, and takes known secrets out of what is written to it.

    Args:
        journal: Where the events go.
        secrets: Keys and tokens.
    """

    def __init__(self, journal: _Journal, secrets: tuple[str, ...]) -> None:
        self._journal = journal
        self._secrets = secrets

    async def write(self, event: Event) -> None:
        """Append an event, without secrets."""
        message, data = shown(event.message, self._secrets), shown_value(event.data, self._secrets)
        await self._journal.write(replace(event, message=message, data=data))

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""
        return await self._journal.read(model, after)
