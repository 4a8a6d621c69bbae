"""The doors of the gateway: one request in, one answer out, whatever happens in between."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lorry.errors import BodyInvalid, LorryError, Overloaded
from lorry.generation.asking import Ask
from lorry.generation.gateway.callers import Caller
from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.gateway import Gateway
from lorry.generation.gateway.sink import CallerLeft, Request
from lorry.model.serving import Scope as TokenScope
from lorry.server.answers import error_body, error_headers, status_of, unforeseen
from lorry.server.asgi import AsgiSink, Receive, Scope, Send, header, read_body, request_id
from lorry.server.leaving import Leaving
from lorry.server.watching import Watch

_LOG = logging.getLogger("lorry.server")

#: The longest that a caller may ask to be held, seconds.
_LONGEST_WAIT = 900.0

_WAIT = re.compile(rb"\bwait\s*=\s*\"?(\d{1,6})")


@dataclass(slots=True)
class Doors:
    """What all doors share.

    Attributes:
        gateway: Answers.
        directory: Knows who asks.
        watch: Counts and traces.
        most_bytes: Of a body.
        most_at_once: Requests under way at once.
        public_url: Address in answers; what the request was sent to when `None`.
        clock: Seconds that only grow.
        leaving: Notices callers that go away.
    """

    gateway: Gateway
    directory: LiveDirectory
    watch: Watch
    most_bytes: int
    most_at_once: int
    public_url: str | None
    clock: Callable[[], float]
    leaving: Leaving = field(default_factory=Leaving)

    def require_room(self) -> None:
        """Let a request in while there is room.

        Raises:
            Overloaded: There is none.
        """
        if self.watch.in_flight > self.most_at_once:
            raise Overloaded(
                f"The gateway has {self.most_at_once} requests under way.",
                evidence={"at_once": self.most_at_once, "retry_after": 2},
            )

    def door(self, form: str, read: Callable[[bytes], Ask]) -> Door:
        """Make the door of one form of requests."""
        return Door(self, form, read)


class Door:
    """Takes requests of one form.

    Args:
        doors: What all doors share.
        form: Name of the form.
        read: Reads a body of this form.
    """

    def __init__(self, doors: Doors, form: str, read: Callable[[bytes], Ask]) -> None:
        self._doors = doors
        self._read = read
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        doors = self._doors
        began = doors.clock()
        sink = AsgiSink(send)
        name = request_id(scope)
        seen = doors.watch.begin(self._form, name, scope)
        ask: Ask | None = None
        request: Request | None = None
        error: LorryError | None = None
        try:
            caller = doors.directory.caller(header(scope, b"authorization"))
            caller.require(TokenScope.GENERATE)
            caller.take_turn(began)
            doors.require_room()
            body = await read_body(scope, receive, doors.most_bytes)
            ask = self._read(body)
            request = self._request(scope, name, caller, body, began)
            request.trace = seen.headers()
            with doors.leaving.watched(receive):
                await doors.gateway.answer(request, ask, sink)
        except CallerLeft:
            pass
        except LorryError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - a fault of ours leaves no caller without an answer
            _LOG.exception("request %s failed", name)
            error = unforeseen(caught)
        if error is not None:
            await self._refuse(error, name, sink, request, ask)
        doors.watch.end(seen, sink.status, error, doors.clock() - began)

    async def _refuse(
        self, error: LorryError, name: str, sink: AsgiSink, request: Request | None, ask: Ask | None
    ) -> None:
        status = status_of(error)
        if request is not None and ask is not None:
            self._doors.gateway.refused(request, ask, error, status)
        if not sink.begun:
            headers = [(b"x-request-id", name.encode()), *error_headers(error)]
            with contextlib.suppress(CallerLeft):
                await sink.whole(status, headers, error_body(error, name))

    def _request(self, scope: Scope, name: str, caller: Caller, body: bytes, began: float) -> Request:
        prefer = header(scope, b"prefer")
        request = Request(
            name, caller, body, began, server=partial(address_of, scope, self._doors.public_url)
        )
        request.key = idempotency_key(scope)
        if prefer is not None:
            wait = _WAIT.search(prefer)
            request.wait = min(float(wait[1]), _LONGEST_WAIT) if wait else None
            request.respond_async = b"respond-async" in prefer
        return request


def address_of(scope: Scope, public: str | None) -> str:
    """Give the address under which a caller sees this server."""
    if public is not None:
        return public
    host = (header(scope, b"host") or b"localhost").decode("latin-1")
    return f"{scope.get('scheme') or 'http'}://{host}"


def idempotency_key(scope: Scope) -> str | None:
    """Give the idempotency key that a request came with.

    Raises:
        BodyInvalid: It can't be one.
    """
    given = header(scope, b"idempotency-key")
    if given is None:
        return None
    if not 1 <= len(given) <= 255 or not given.isascii() or not given.decode("ascii").isprintable():
        raise BodyInvalid(
            "The header `Idempotency-Key` can have 1 to 255 printable ASCII signs.",
            fix="Use a UUID, for example.",
        )
    return given.decode()
