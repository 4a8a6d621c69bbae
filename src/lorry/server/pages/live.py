"""Server-sent events: a page is told that something changed, and fetches the part of it that did.

An event carries nothing but the fact, so that what is shown comes from one place, the templates, and a page
that was asleep loses nothing: `Last-Event-ID` says where it stood.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from lorry.errors import LorryError
from lorry.server.api.asking import TheRooms
from lorry.server.asgi import header
from lorry.server.pages.visiting import AnyVisitor, visitor_of
from lorry.server.rooms import Rooms

#: Seconds between two looks, and after how many looks without news a line is sent all the same, so that what
#: lies between does not take the stream for dead.
_LOOK_SECONDS, _QUIET_LOOKS = 0.5, 30

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def live_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/live/models", models, methods=["GET"])
    router.add_api_route("/live/models/{name}", model, methods=["GET"])


async def models(request: Request, rooms: TheRooms, _visitor: AnyVisitor) -> StreamingResponse:
    """Tell when any model, its place or today's numbers changed."""

    async def news() -> AsyncIterator[str]:
        known, numbers = rooms.directory.now, rooms.desk.looks.today.version
        while True:
            await rooms.desk.looks.today.value()  # somebody looks, so they are read again
            now, counted = rooms.directory.now, rooms.desk.looks.today.version
            yield "" if now is known and counted == numbers else "event: changed\ndata: models\n\n"
            known, numbers = now, counted

    return _stream(request, rooms, news())


async def model(
    request: Request,
    rooms: TheRooms,
    visitor: AnyVisitor,
    name: str,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> StreamingResponse:
    """Tell when the journal of a model grew, or the model itself changed."""
    snapshot = rooms.directory.now
    if name in snapshot.models or not visitor.caller.sees(name, snapshot.policy(name).owner):
        snapshot.require(name, visitor.caller)  # one that was retired has a journal still
    seen = header(request.scope, b"last-event-id")
    since = int(seen) if seen is not None and seen.isdigit() and len(seen) < 19 else after

    async def news() -> AsyncIterator[str]:
        last, known = since, rooms.directory.now
        while True:
            events = await rooms.desk.journal.read(name, last)
            now = rooms.directory.now
            moved = now.placements.get(name) is not known.placements.get(name)
            last, known = (events[-1].id if events else last), now
            yield f"id: {last}\nevent: changed\ndata: {name}\n\n" if events or moved else ""

    return _stream(request, rooms, news())


def _stream(request: Request, rooms: Rooms, news: AsyncIterator[str]) -> StreamingResponse:
    rooms.desk.streams.require_room()
    return StreamingResponse(_told(request, rooms, news), 200, _HEADERS, "text/event-stream")


async def _told(request: Request, rooms: Rooms, news: AsyncIterator[str]) -> AsyncIterator[str]:
    """Pass news on while the server runs, the page is open, and its session is valid."""
    with rooms.desk.streams.one():
        yield "retry: 1000\n\n"
        known, quiet = rooms.directory.now.callers, 0
        while await rooms.desk.streams.pause(_LOOK_SECONDS):
            if rooms.directory.now.callers is not known:
                known = rooms.directory.now.callers
                if not await _still(request):
                    return
            try:
                said = await anext(news)
            except LorryError:  # a database that restarts; the page comes again in a second
                return
            quiet = 0 if said else quiet + 1
            if said or quiet >= _QUIET_LOOKS:
                yield said or ": nothing new\n\n"
                quiet = 0


async def _still(request: Request) -> bool:
    try:
        await visitor_of(request)
    except LorryError:
        return False
    return True
