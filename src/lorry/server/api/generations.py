"""The queue and kept results over HTTP, and the pictures themselves."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from lorry.errors import GenerationNotFound
from lorry.generation.asking import read_generate
from lorry.generation.gateway.rendering import MEDIA
from lorry.generation.gateway.sink import Request as Asked
from lorry.generation.gateway.telling import status_of
from lorry.model.kept import Generated, State
from lorry.server.api.asking import Generating, TheRooms, server_of
from lorry.server.asgi import read_body, request_id
from lorry.server.doors import idempotency_key
from lorry.server.rooms import Rooms

_Id = Annotated[str, Path(description="Id of the generation.", max_length=64)]


def generations_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["generations"])
    router.add_api_route("/api/generations", submit, methods=["POST"], status_code=202, response_model=None)
    router.add_api_route("/api/generations", newest, methods=["GET"], response_model=None)
    router.add_api_route("/api/generations/{id}", look, methods=["GET"], response_model=None)
    router.add_api_route("/api/generations/{id}/result", result, methods=["GET"], response_model=None)
    router.add_api_route("/api/generations/{id}/cancel", cancel, methods=["POST"], response_model=None)
    router.add_api_route("/api/pictures/{signature}/{name}", picture, methods=["GET"], response_model=None)
    return router


async def submit(rooms: TheRooms, request: Request, caller: Generating) -> Response:
    """Put a request, as `/api/generate` takes it, into the queue: 202, with where to look."""
    body = await read_body(request.scope, request.receive, rooms.most_bytes)
    server = server_of(rooms, request)
    asked = Asked(request_id(request.scope), caller, body, rooms.clock(), server=lambda: server)
    asked.key = idempotency_key(request.scope)
    row = await rooms.queue.add(asked, read_generate(body))
    headers = {"location": f"{server}/api/generations/{row.id}"}
    return _json(await _told(rooms, row, server), 202, headers)


async def newest(
    rooms: TheRooms, request: Request, caller: Generating, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Response:
    """List the newest generations of the token's owner, without their results."""
    rows = await rooms.kept.listed(caller.owner, everybody=caller.owner is None, limit=limit)
    server = server_of(rooms, request)
    return _json({"generations": [status_of(row, server) for row in rows]})


async def look(rooms: TheRooms, request: Request, caller: Generating, id: _Id) -> Response:  # noqa: A002
    """Say where a generation stands; with its result once it is done."""
    row = await rooms.queue.find(id, caller)
    return _json(await _told(rooms, row, server_of(rooms, request)))


async def result(rooms: TheRooms, request: Request, caller: Generating, id: _Id) -> Response:  # noqa: A002
    """Give the result of a generation exactly as it was, or would have been, answered."""
    row = await rooms.queue.find(id, caller)
    if row.state is not State.DONE:
        raise GenerationNotFound(
            f"The generation {row.id} is {row.state} and has no result.",
            fix=f"Look at /api/generations/{row.id} until it is done.",
            evidence={"id": row.id, "state": str(row.state), "error": row.error},
        )
    body, media = await rooms.gateway.keeper.sending.rendered(row, server_of(rooms, request))
    return Response(body, media_type=media)


async def cancel(rooms: TheRooms, request: Request, caller: Generating, id: _Id) -> Response:  # noqa: A002
    """End a generation that still waits."""
    row = await rooms.queue.cancel(id, caller)
    return _json(status_of(row, server_of(rooms, request)))


async def picture(
    rooms: TheRooms, signature: Annotated[str, Path(max_length=64)], name: Annotated[str, Path(max_length=80)]
) -> Response:
    """Give a picture that was kept; its address is its permission."""
    digest, _, suffix = name.partition(".")
    content = None
    if rooms.addresses.valid(digest, signature) and suffix in MEDIA:
        content = await rooms.blobs.get(digest)
    if content is None:
        raise GenerationNotFound("There is no such picture, or it is not kept any more.")
    # What it is called is what it is, so it may be kept for ever wherever it passes.
    headers = {"cache-control": "private, max-age=31536000, immutable", "etag": f'"{digest}"'}
    return Response(content, media_type=MEDIA[suffix], headers=headers)


async def _told(rooms: Rooms, row: Generated, server: str) -> dict[str, Any]:
    told = status_of(row, server)
    if row.state is State.DONE:
        body, media = await rooms.gateway.keeper.sending.rendered(row, server)
        told["result"] = msgspec.Raw(body) if media == "application/json" else body.decode()
    return told


def _json(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode(content)
    return Response(body, status, headers, media_type="application/json")
