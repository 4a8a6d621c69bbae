"""The doors of the gateway: one request in, one answer out, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lorry.errors import BodyInvalid, LorryError, Overloaded, TokenInvalid
from lorry.generation.asking import Ask
from lorry.generation.gateway.callers import Caller
from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.gateway import Gateway
from lorry.generation.gateway.sink import CallerLeft, Request
from lorry.model.serving import Scope as TokenScope
from lorry.server.answers import error_body, error_headers, status_of, unforeseen
from lorry.server.asgi import AsgiSink, Receive, Scope, Send, header, read_body, request_id
from lorry.server.watching import Watch

_LOG = logging.getLogger("lorry.server")

#: Seconds after which somebody looks whether the caller is still there; most requests are answered before.
_WATCH_AFTER = 0.25
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
    """

    gateway: Gateway
    directory: LiveDirectory
    watch: Watch
    most_bytes: int
    most_at_once: int
    public_url: str | None
    clock: Callable[[], float]

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
            caller = caller_of(doors.directory, scope)
            caller.require(TokenScope.GENERATE)
            caller.take_turn(began)
            doors.require_room()
            body = await read_body(scope, receive, doors.most_bytes)
            ask = self._read(body)
            request = self._request(scope, name, caller, body, began)
            request.trace = seen.headers()
            with left_early(receive):
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
        request = Request(name, caller, body, began, address=address_of(scope, self._doors.public_url))
        request.key = idempotency_key(scope)
        if prefer is not None:
            wait = _WAIT.search(prefer)
            request.wait = min(float(wait[1]), _LONGEST_WAIT) if wait else None
            request.respond_async = b"respond-async" in prefer
        return request


def caller_of(directory: LiveDirectory, scope: Scope) -> Caller:
    """Find who sent a request.

    Raises:
        TokenInvalid: Nobody who may.
    """
    given = header(scope, b"authorization")
    if given is None:
        return directory.caller(None)
    kind, _, secret = given.partition(b" ")
    if kind.lower() != b"bearer":
        if not directory.now.guarded:
            return directory.caller(None)
        raise TokenInvalid("The header `Authorization` is of a kind that is not taken; it takes Bearer.")
    return directory.caller(secret.strip().decode("latin-1"))


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


@contextmanager
def left_early(receive: Receive) -> Iterator[None]:
    """Call off what a block does when the caller goes away while it waits.

    Nobody looks before some time has passed: most answers are there by then, and looking costs as much as
    the rest of a small request.

    Args:
        receive: Says when the caller has gone.

    Raises:
        CallerLeft: It has.
    """
    loop = asyncio.get_running_loop()
    work = asyncio.current_task()
    assert work is not None  # noqa: S101 - requests are answered in tasks
    watching: list[asyncio.Task[None]] = []
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        work.cancel()

    timer = loop.call_later(_WATCH_AFTER, lambda: watching.append(loop.create_task(watch())))
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        work.uncancel()
        raise CallerLeft from None
    finally:
        timer.cancel()
        for task in watching:
            task.cancel()
