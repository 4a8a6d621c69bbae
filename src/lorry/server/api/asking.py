"""What every route of the API asks first: who is it, and what may they."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from lorry.generation.gateway.callers import Caller
from lorry.model.serving import Scope
from lorry.server.asgi import header
from lorry.server.doors import address_of
from lorry.server.rooms import Rooms


async def _rooms(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


async def _anybody(request: Request) -> Caller:
    rooms = await _rooms(request)
    caller = rooms.directory.caller(header(request.scope, b"authorization"))
    caller.take_turn(rooms.clock())
    return caller


async def _with(scope: Scope, request: Request) -> Caller:
    caller = await _anybody(request)
    caller.require(scope)
    return caller


async def _generating(request: Request) -> Caller:
    return await _with(Scope.GENERATE, request)


async def _shipping(request: Request) -> Caller:
    return await _with(Scope.SHIP, request)


async def _admin(request: Request) -> Caller:
    return await _with(Scope.ADMIN, request)


#: What the routes declare that they need; FastAPI finds it.
TheRooms = Annotated[Rooms, Depends(_rooms)]
Anybody = Annotated[Caller, Depends(_anybody)]
Generating = Annotated[Caller, Depends(_generating)]
Shipping = Annotated[Caller, Depends(_shipping)]
Admin = Annotated[Caller, Depends(_admin)]


def server_of(rooms: Rooms, request: Request) -> str:
    """Give the address under which the caller sees this server."""
    return address_of(request.scope, rooms.public_url)
