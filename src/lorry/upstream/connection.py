"""A connection that is kept: HTTP/1.1 over asyncio and llhttp, as uvicorn's server side is."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lorry.upstream.exchange import Exchange

#: The most bytes of an answer's head.
HEAD_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """Carries one exchange after the other.

    Args:
        freed: Told when the connection can carry the next.
        lost: Told when it can't any more, and whether the server gave it up while it was idle.
    """

    __slots__ = (
        "_exchange",
        "_fields",
        "_freed",
        "_given_up",
        "_head",
        "_interim",
        "_keep",
        "_left",
        "_lost",
        "_parser",
        "_transport",
        "_until_end",
        "idle_since",
    )

    _transport: asyncio.Transport

    def __init__(self, freed: Callable[[Connection], None], lost: Callable[[Connection, bool], None]) -> None:
        self._freed, self._lost = freed, lost
        self._parser = HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._fields: dict[str, str] = {}
        self._head: int | None = 0
        self._left: int | None = None
        self._keep = self._until_end = self._interim = self._given_up = False
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether it is open still."""
        return not self._transport.is_closing()

    def quiet(self) -> bool:
        """Say whether nothing has come meanwhile, as its end would: a loop that is busy has not read it yet.

        A request that is sent on a connection whose end has come already would be lost, and nobody would know
        whether it was carried out.
        """
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        quiet = not poll.poll(0)
        if not quiet:
            self._transport.abort()
        return quiet

    def begin(self, exchange: Exchange, content: bytes) -> None:
        """Send a request; its answer goes to the exchange."""
        self._exchange = exchange
        self._head, self._left, self._until_end = 0, None, False
        self._transport.write(content)

    def hold(self, *, held: bool) -> None:
        """Take nothing more from the socket, or go on."""
        if not self._transport.is_closing():
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._given_up = True
        self._until_end = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        """Take bytes: of a head, or of a body."""
        exchange = self._exchange
        if exchange is None:
            self._transport.abort()  # nobody asked for these
        elif self._left:
            self._body(exchange, data)
        else:
            self._parse(exchange, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: some bodies reach to the end of the connection, all other answers are cut by it."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if self._until_end and exc is None:
                exchange.complete()
            else:
                where = "in the middle of" if self._head is None else "before"
                exchange.cut(f"the connection was closed {where} the answer" + (f": {exc}" if exc else ""))
        self._lost(self, exchange is None and not self._given_up)

    def on_message_begin(self) -> None:
        """Refuse what comes after an answer: the next request would take it for its own."""
        self._fields = {}  # without the trailers of the answer before
        if self._exchange is None:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take a head."""
        status = self._parser.get_status_code()
        fields, self._fields = self._fields, {}
        self._interim = status < 200  # 100 or 103: the answer itself follows
        if self._interim or self._exchange is None:
            return
        self._head = None
        length = fields.get("content-length")
        if length is not None and "transfer-encoding" not in fields:
            self._left = int(length)
        self._until_end = length is None and "transfer-encoding" not in fields and status not in (204, 304)
        self._keep = self._parser.should_keep_alive()
        self._exchange.head(status, fields)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body that the parser found."""
        if self._left is not None:
            self._left -= len(body)
        if self._exchange is not None:
            self._exchange.piece(body)

    def on_message_complete(self) -> None:
        """Take the end of an answer."""
        if not self._interim:
            self._end()

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            why = f"the answer is not HTTP: {error}"
        else:
            if self._head is None or self._head <= HEAD_BYTES:
                return
            why = f"the answer's head has more than {HEAD_BYTES} bytes"
        self.abort()
        exchange.cut(why)

    def _body(self, exchange: Exchange, data: bytes) -> None:
        """Take a part of a body whose length is known: to have it parsed would be to copy it once more."""
        assert self._left is not None  # noqa: S101 - it is why this is called
        more = len(data) > self._left
        piece = data[: self._left] if more else data
        self._left -= len(piece)
        exchange.piece(piece)
        if not self._left:
            self._parser = HttpResponseParser(self)  # the old one waits for the body still
            self._keep = self._keep and not more
            self._end()

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.complete()
        # Answered before all of it was read, as with 413: the rest of the request is in the way of the next.
        if self._keep and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._freed(self)
        else:
            self._transport.abort()
