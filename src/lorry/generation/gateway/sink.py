"""Where an answer goes: the port to whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from lorry.generation.gateway.callers import Caller

Headers = Sequence[tuple[bytes, bytes]]


class CallerLeft(Exception):
    """Whoever asked has gone, or does not take what is sent."""


class Sink(Protocol):
    """One answer on its way out."""

    @property
    def begun(self) -> bool:
        """Whether anything was sent, so that no other answer can be."""

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer at once."""

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""

    async def piece(self, data: bytes | memoryview) -> None:
        """Send a piece of its body, and wait until there is room for the next.

        Raises:
            CallerLeft: Nobody takes it.
        """

    async def end(self) -> None:
        """Send the end of it."""

    async def abort(self) -> None:
        """Break it off, so that nobody takes it for whole."""


class Request(msgspec.Struct):
    """What came with a body.

    Attributes:
        id: Names it, here and at the platform.
        caller: Who asks.
        body: The bytes that came.
        began: When it came, seconds of the gateway's clock.
        key: Its idempotency key; `None` without one.
        wait: Seconds that the caller waits for a model that is asleep (`Prefer: wait=N`); `None` when it
            says nothing.
        respond_async: Whether it wants to be answered 202 rather than to wait.
        trace: Headers that carry its trace on.
        server: Gives the address under which the caller sees this server; worked out only where it is needed.
    """

    id: str
    caller: Caller
    body: bytes
    began: float
    key: str | None = None
    wait: float | None = None
    respond_async: bool = False
    trace: dict[str, str] | None = None
    server: Callable[[], str] = str

    @property
    def address(self) -> str:
        """Under which address the caller sees this server, without a slash at the end."""
        return self.server()
