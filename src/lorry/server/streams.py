"""Streams of server-sent events: how many there are, and that they end when the server does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from lorry.errors import Overloaded

#: Pages that may be open and told of changes at once.
_MOST = 500


class Streams:
    """The streams that are open."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._open = 0

    def require_room(self) -> None:
        """Let another stream be opened while there is room.

        Raises:
            Overloaded: There are too many.
        """
        if self._open >= _MOST:
            raise Overloaded(f"{_MOST} pages are told of changes already.", evidence={"retry_after": 10})

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Hold a stream open for the length of a block."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def pause(self, seconds: float) -> bool:
        """Wait for a while; say whether to go on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return not self._closing.is_set()

    def close(self) -> None:
        """End all of them."""
        self._closing.set()
