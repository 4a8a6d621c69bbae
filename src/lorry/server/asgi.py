"""The generation routes as plain ASGI: a framework would cost more than all the rest of the gateway."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lorry.errors import BodyTooLarge, BodyTooSlow
from lorry.generation.gateway.sink import CallerLeft, Headers
from lorry.server.protocol import written_whole

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Seconds in which a body has to arrive, and in which a piece of an answer has to be taken.
BODY_SECONDS = 30.0
TAKE_SECONDS = 60.0

#: An answer up to here goes into the connection's own buffer at once, bytes; nobody waits for it.
_BUFFERED = 64 * 1024

_ID = re.compile(rb"[A-Za-z0-9._-]{1,60}")


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Read a body.

    Args:
        scope: Of the request.
        receive: Gives its parts.
        most: Bytes.

    Raises:
        BodyTooLarge: It is larger, or says that it will be.
        BodyTooSlow: It did not arrive in time.
        CallerLeft: The caller went away.
    """
    said = header(scope, b"content-length")
    if said is not None and said.isdigit() and (len(said) > 15 or int(said) > most):
        raise too_large(most)
    message = await receive() if said is None or int(said) < 65_536 else None
    if message is not None and message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))  # the usual case: it came with the head
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _rest(receive, message, most)
    except TimeoutError:
        raise BodyTooSlow(f"The body did not arrive within {BODY_SECONDS:.0f} s.") from None


async def _rest(receive: Receive, message: MutableMapping[str, Any] | None, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = message or await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise too_large(most)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = None


def too_large(most: int) -> BodyTooLarge:
    """Say how large a body may be."""
    return BodyTooLarge(f"The body is larger than {most / 2**20:g} MiB.", evidence={"most": most})


def header(scope: Scope, name: bytes) -> bytes | None:
    """Give a header of a request by its name in small letters; the last of several."""
    found = scope.get("lorry.headers")
    if found is None:
        found = scope["lorry.headers"] = dict(scope["headers"])
    value: bytes | None = found.get(name)
    return value


def request_id(scope: Scope) -> str:
    """Give the id that a request came with, or a new one."""
    given = header(scope, b"x-request-id")
    if given is not None and _ID.fullmatch(given):
        return given.decode()
    return new_id()


#: Ids tell requests apart and open nothing, so they need no fresh randomness each.
_PREFIX, _NUMBERS = secrets.token_hex(6), itertools.count(1)


def new_id() -> str:
    """Give an id that no other request has, here or in another process."""
    return f"req_{_PREFIX}{next(_NUMBERS):08x}"


class AsgiSink:
    """The port `Sink` over the `send` of ASGI.

    Args:
        send: Sends a part.
    """

    __slots__ = ("_send", "_since", "begun", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.status = 0
        self._since = 0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer at once."""
        self.begun, self.status = True, status
        if len(body) <= _BUFFERED and written_whole(self._send, status, headers, body):
            return
        length = (b"content-length", str(len(body)).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        last = {"type": "http.response.body", "body": body}
        if len(body) <= _BUFFERED:
            await self._send(last)
        else:
            await self._taken(last)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        self.begun, self.status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def piece(self, data: bytes | memoryview) -> None:
        """Send a piece of its body, and wait until there is room for the next.

        What is written goes out when the loop comes round, and only then does the connection know whether it
        is full. Pieces that are there already would all be taken before that, so it comes round in between.
        """
        await self._taken({"type": "http.response.body", "body": data, "more_body": True})
        self._since += len(data)
        if self._since >= _BUFFERED:
            self._since = 0
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Send the end of it."""
        await self._send({"type": "http.response.body", "body": b""})

    async def abort(self) -> None:
        """Break it off: the server closes a connection whose answer is left unfinished."""

    async def _taken(self, message: MutableMapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                await self._send(message)
        except (TimeoutError, OSError) as error:
            raise CallerLeft from error
