"""A request to the gateway from one of its own pages: without a connection, but counted like any other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import msgspec

from lorry.errors import LorryError, Overloaded
from lorry.generation.asking import Ask, read_generate
from lorry.generation.gateway.sink import CallerLeft, Headers
from lorry.generation.gateway.sink import Request as Asked
from lorry.server.answers import status_of, unforeseen
from lorry.server.asgi import Scope
from lorry.server.pages.visiting import Visitor
from lorry.server.rooms import Rooms

_LOG = logging.getLogger("lorry.server")


class Heard:
    """`lorry.generation.gateway.sink.Sink` that keeps the answer."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    @property
    def begun(self) -> bool:
        """Whether anything was answered."""
        return bool(self.status)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:  # noqa: ARG002
        """Take an answer at once."""
        self.status, self.body = status, body

    async def begin(self, status: int, headers: Headers) -> None:  # noqa: ARG002
        """Take the head of an answer."""
        self.status = status

    async def piece(self, data: bytes | memoryview) -> None:
        """Take a piece of it."""
        self.body += data

    async def end(self) -> None:
        """Take its end."""

    async def abort(self) -> None:
        """Take that it was broken off."""
        raise CallerLeft


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    Attributes:
        told: The answer; `None` where there is an error.
        waits: Whether the model is being started, and the request waits for it.
        error: What went wrong, as data.
    """

    told: dict[str, Any] | None = None
    waits: bool = False
    error: dict[str, Any] | None = None


async def asked_inside(
    rooms: Rooms, visitor: Visitor, scope: Scope, request: str, fields: dict[str, Any]
) -> Answer:
    """Generate as `POST /api/generate` does; pictures are kept, and answered as addresses on this server.

    Args:
        rooms: What the server works with.
        visitor: Who asks.
        scope: Of the page's own request, for traces.
        request: Names the request; also the key under which its result is kept.
        fields: Of `lorry.generation.asking.fields.GenerateBody`.
    """
    began = rooms.clock()
    body = msgspec.json.encode(fields)
    seen = rooms.watch.begin("generate", request, scope)
    asked = Asked(request, visitor.caller, body, began, key=request, trace=seen.headers())
    heard, ask, error = Heard(), None, None
    try:
        _require_room(rooms)
        ask = read_generate(body)
        await rooms.gateway.answer(asked, ask, heard)
    except LorryError as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001 - a fault of ours is an answer too
        _LOG.exception("request %s failed", request)
        error = unforeseen(caught)
    _noted(rooms, asked, ask, error)
    rooms.watch.end(seen, heard.status, error, rooms.clock() - began)
    if error is not None:
        return Answer(error=error.as_dict())
    return Answer(msgspec.json.decode(heard.body), heard.status == 202)


def _require_room(rooms: Rooms) -> None:
    if rooms.watch.in_flight > rooms.most_at_once:
        raise Overloaded("The gateway has too many requests under way.", evidence={"retry_after": 2})


def _noted(rooms: Rooms, asked: Asked, ask: Ask | None, error: LorryError | None) -> None:
    if error is not None and ask is not None:
        rooms.gateway.refused(asked, ask, error, status_of(error))
