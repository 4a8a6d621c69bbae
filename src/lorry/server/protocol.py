"""HTTP as uvicorn speaks it, with an end to heads that are too long or too slow.

uvicorn waits for a head as long as it takes, and takes one of any size; a few hundred connections that send a
byte a minute would hold it up (Slowloris). What is smuggled, such as two lengths or a length beside chunks,
the parser refuses by itself (llhttp).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds in which the head of a request has to be there, and the most bytes of it.
HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024

_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)
_SAID = b'{"error":{"message":"The head of the request is too long.","type":"invalid_request_error","param":null,"code":"head_too_large"}}'  # noqa: E501


class GuardedProtocol(HttpToolsProtocol):
    """A connection whose heads have to come whole, soon, and short."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _reading_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Count what comes before a head is whole."""
        if self._reading_head:
            self._head += len(data)
            if self._timer is None:
                self._wait_for_head()
        super().data_received(data)
        if self._reading_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG % (len(_SAID), _SAID))
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is whole: what follows is the body, which has its own limits."""
        self._reading_head = False
        self._head = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole: the next thing to come is a head."""
        self._reading_head = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def protocol_class() -> type[Any]:
    """Give the class for uvicorn's configuration."""
    return GuardedProtocol
