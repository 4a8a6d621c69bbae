"""HTTP as uvicorn speaks it, with an end to heads that are too long or too slow.

uvicorn waits for a head as long as it takes, and takes one of any size; a few hundred connections that send a
byte a minute would hold it up (Slowloris). What is smuggled, such as two lengths or a length beside chunks,
the parser refuses by itself (llhttp).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

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
    """A connection whose heads have to come whole, soon, and short.

    Nothing is timed for a single head, which would cost each request a timer: `sweep` looks at all of them.
    """

    _head = 0
    _reading_head = True
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        self._since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Count what comes before a head is whole."""
        if self._reading_head:
            if not self._head:
                self._since = self.loop.time()
            self._head += len(data)
        super().data_received(data)
        if self._reading_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG % (len(_SAID), _SAID))
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is whole: what follows is the body, which has its own limits."""
        self._reading_head = False
        self._head = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole: the next thing to come is a head."""
        self._reading_head = True
        super().on_message_complete()

    def close_if_slow(self, now: float) -> None:
        """Close the connection when a head that it began, or its first, has not come in time.

        Args:
            now: Seconds of the loop's clock.
        """
        waiting = self._reading_head and (self._head or self.cycle is None)
        if waiting and now - self._since > HEAD_SECONDS and not self.transport.is_closing():
            self.transport.close()


async def sweep(connections: Collection[object]) -> None:
    """Close connections whose heads are too slow, once a second, for ever.

    Args:
        connections: Those of the server.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.close_if_slow(loop.time())
