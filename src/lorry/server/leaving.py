"""Callers that go away before they are answered: what is done for them alone is called off."""

from __future__ import annotations

import asyncio
from types import TracebackType

from lorry.generation.gateway.sink import CallerLeft
from lorry.server.asgi import Receive

#: Seconds after which somebody listens whether a caller is still there; most are answered before. To listen
#: for each from the start would cost as much as all the rest of a small request.
LISTEN_AFTER = 0.25


class Leaving:
    """Notices callers that go away, among the requests that take long."""

    def __init__(self) -> None:
        self._waiting: dict[_Watched, float] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watched(self, receive: Receive) -> _Watched:
        """Give what calls a block off, with `CallerLeft`, when its caller goes away.

        Args:
            receive: Says when the caller has gone.
        """
        return _Watched(self, receive)

    def enter(self, watched: _Watched) -> None:
        """Begin to wait with a block."""
        loop = self._loop
        if loop is None:  # a server has one, and to ask for it costs each request
            loop = self._loop = asyncio.get_running_loop()
        watched.work = asyncio.current_task(loop)
        self._waiting[watched] = loop.time()
        if self._sweep is None:
            self._sweep = loop.call_later(LISTEN_AFTER, self._listen)

    def leave(self, watched: _Watched) -> None:
        """End it."""
        self._waiting.pop(watched, None)

    def _listen(self) -> None:
        """Begin to listen for those that wait long enough; come again while any waits."""
        loop = asyncio.get_running_loop()
        before = loop.time() - LISTEN_AFTER
        for watched in [each for each, since in self._waiting.items() if since <= before]:
            del self._waiting[watched]
            watched.listen()
        self._sweep = loop.call_later(LISTEN_AFTER, self._listen) if self._waiting else None


class _Watched:
    __slots__ = ("_gone", "_leaving", "_listening", "_receive", "work")

    def __init__(self, leaving: Leaving, receive: Receive) -> None:
        self._leaving, self._receive = leaving, receive
        self._gone = False
        self._listening: asyncio.Task[None] | None = None
        self.work: asyncio.Task[object] | None = None

    def __enter__(self) -> None:
        self._leaving.enter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.leave(self)
        if self._listening is not None:
            self._listening.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError) and self.work is not None:
            self.work.uncancel()
            raise CallerLeft from None

    def listen(self) -> None:
        """Begin to listen whether the caller goes."""
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self.work is not None:
            self.work.cancel()
