"""HTTP as uvicorn speaks it, with an end to heads that are too long or too slow.

uvicorn waits for a head as long as it takes, and takes one of any size; a few hundred connections that send a
byte a minute would hold it up (Slowloris). What is smuggled, such as two lengths or a length beside chunks,
the parser refuses by itself (llhttp).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

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


def written_whole(send: object, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a small answer in one piece, where a connection of uvicorn's is ready for it.

    uvicorn takes head and body one after the other, and looks at each header with two regular expressions:
    an eighth of all the time that a small request takes. What it would do besides is done here too.

    Args:
        send: What the answer would be sent by.
        status: HTTP status.
        headers: All but the length.
        body: The whole body.

    Returns:
        Whether it was written; `send` has to be used when it was not.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or not _ready(cycle):
        return False
    parts: list[bytes] = []
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    head = b"".join(parts)
    if head.count(b"\n") * 4 != len(parts):  # a header with a line break in it would be another header
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"%scontent-length: %d\r\n%s\r\n%s" % (STATUS_LINE[status], len(body), head, body))
    cycle.message_event.set()
    cycle.on_response()
    return True


def _ready(cycle: RequestResponseCycle) -> bool:
    """Say whether nothing was answered yet, the connection stays, takes more, and wants the body."""
    begun = cycle.response_started or cycle.disconnected
    return not begun and cycle.keep_alive and not cycle.flow.write_paused and cycle.scope["method"] != "HEAD"
