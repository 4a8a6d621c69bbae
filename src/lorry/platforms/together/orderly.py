"""An HTTP client that waits for its turn before each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from lorry.platforms.together.answers import retry_after
from lorry.platforms.together.turns import Turns


class OrderlyClient(httpx.AsyncClient):
    """`httpx.AsyncClient` with turns; one ends when its answer has been read or closed.

    A transport would be the smaller seam, but httpx takes the environment's proxies only without one.

    Args:
        turns: Shared by all clients of an address.
        options: What `httpx.AsyncClient` takes.
    """

    def __init__(self, turns: Turns, **options: Any) -> None:
        super().__init__(**options)
        self._turns = turns

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request when it is its turn; no limit of time counts until then.

        An answer 429 that says for how long makes all others of the address wait that long.
        """
        await self._turns.take()
        try:
            response = await super().send(request, stream=stream, **options)
        except BaseException:
            self._turns.give_back()
            raise
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._turns.rest(retry_after(response.headers) or 0.0)
        if response.is_closed or not isinstance(response.stream, httpx.AsyncByteStream):
            self._turns.give_back()
        else:
            response.stream = _Watched(response.stream, self._turns.give_back)
        return response


class _Watched(httpx.AsyncByteStream):
    """A body that says once when it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._body = body
        self._closed: Callable[[], None] | None = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()
