"""One request and its answer, as whoever asked sees them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from lorry.generation.ports import AnswerCut

#: Bytes of an answer that may wait here for its reader; while there are more, none are taken from the socket.
READ_AHEAD_BYTES = 64 * 1024


class Carrier(Protocol):
    """The connection that an exchange is on."""

    def begin(self, exchange: Exchange, content: bytes) -> None:
        """Send a request; its answer goes to the exchange."""

    def hold(self, *, held: bool) -> None:
        """Take nothing more from the socket, or go on."""

    def abort(self) -> None:
        """Close at once, whatever is under way."""


class Carriers(Protocol):
    """The connections to one server."""

    def take(self) -> Carrier | None:
        """Give one that is open and idle; `None` when there is none."""

    async def connect(self) -> Carrier:
        """Make one.

        Raises:
            NotSent: None can be made.
        """


class Exchange:
    """A request that is sent once when its block begins, and its answer, which is the block's value.

    It is both in one object, since each more would cost a small request as much as reading its answer.

    Args:
        loop: The event loop.
        carriers: Give the connection.
        content: Head and body of the request.
        seconds: What the answer may take in all.
    """

    __slots__ = (
        "_carriers",
        "_complete",
        "_content",
        "_error",
        "_held",
        "_line",
        "_loop",
        "_pieces",
        "_seconds",
        "_size",
        "_timer",
        "_waiter",
        "fields",
        "status",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, carriers: Carriers, content: bytes, seconds: float
    ) -> None:
        self._loop, self._carriers, self._content, self._seconds = loop, carriers, content, seconds
        self._line: Carrier | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._complete = self._held = False
        self._error: str | None = None
        self.status = 0
        self.fields: dict[str, str] = {}

    async def __aenter__(self) -> Exchange:
        line = self._line = self._carriers.take() or await self._carriers.connect()
        self._timer = self._loop.call_later(self._seconds, self._late)
        line.begin(self, self._content)
        try:
            while not self.status:
                await self._more()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def header(self, name: str) -> str | None:
        """Give a header by its name, whatever its case."""
        return self.fields.get(name.lower())

    def headers(self) -> Mapping[str, str]:
        """Give all headers, names in small letters."""
        return self.fields

    async def read(self) -> bytes | None:
        """Give the next piece of the body; `None` at its end."""
        while not self._pieces:
            if self._complete:
                return None
            await self._more()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._held and self._size <= READ_AHEAD_BYTES:
            self._held = False
            if self._line is not None:
                self._line.hold(held=False)
        return piece

    def head(self, status: int, fields: dict[str, str]) -> None:
        """Take the head of the answer."""
        self.status, self.fields = status, fields
        self._wake()

    def piece(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD_BYTES and not self._held and self._line is not None:
            self._held = True
            self._line.hold(held=True)
        self._wake()

    def complete(self) -> None:
        """Take the end; the connection is not this exchange's any more."""
        self._complete = self._error is None
        if self._held and self._line is not None:
            self._line.hold(held=False)
        self._line = None
        self._wake()

    def cut(self, why: str) -> None:
        """Take that no more will come."""
        self._error = self._error or why
        self._line = None
        self._wake()

    async def _more(self) -> None:
        """Wait for whatever comes next."""
        if self._error is not None:
            raise AnswerCut(self._error)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _late(self) -> None:
        if self._line is not None:
            self._line.abort()
        self.cut(f"the answer was not whole after {self._seconds:g} s")

    def _leave(self) -> None:
        """End the request, whether its answer has come or not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        line, self._line = self._line, None
        if line is not None:
            line.abort()
