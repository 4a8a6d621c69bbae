"""A training that ended elsewhere: a signed message, or a token that may ship, has its result shipped."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lorry.errors import BodyInvalid, TokenNotAllowed
from lorry.generation.gateway.callers import Caller
from lorry.generation.gateway.signatures import SIGNATURE, require_signature
from lorry.model.batch import Order, name_from
from lorry.model.names import parse_name
from lorry.model.options import ShipOptions
from lorry.model.serving import Scope
from lorry.server.api.asking import Shipping, TheRooms, server_of
from lorry.server.asgi import header
from lorry.server.sourcing import belong_to, require_far_away, require_own_name

_Owner = Annotated[str | None, Query(description="Whose the model is.", min_length=1, max_length=80)]


class TrainingEnded(BaseModel):
    """What a training left, and how it is to be shipped."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[
        str,
        Field(
            min_length=3,
            max_length=4000,
            pattern=r"^[^-\s\x00-\x1f][^\x00-\x1f]*$",
            description="A Hub repository (`owner/name[@revision][:file]`) or an https address; with a "
            "token of the scope `admin` also a path on the server.",
        ),
    ]
    name: Annotated[str, Field(max_length=40)] | None = Field(
        None, description="Lorry's name of the model; made of the source's own when left out."
    )
    route: Annotated[str, Field(max_length=40, pattern=r"^[a-z]")] = "local"
    rehearse: bool | None = None
    base: Annotated[str, Field(max_length=200, pattern=r"^[^-]")] | None = None
    agree: bool = Field(False, description="Whether something may be started that bills.")


def trainings_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["trainings"])
    schema = TrainingEnded.model_json_schema()
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    router.add_api_route(
        "/api/trainings", ended, methods=["POST"], status_code=202, openapi_extra={"requestBody": body}
    )
    router.add_api_route("/api/training-secret", secret, methods=["GET"])
    return router


async def ended(rooms: TheRooms, request: Request, owner: _Owner = None) -> dict[str, Any]:
    """Have shipped what a training left; a `lorry worker` does it.

    Signed as Standard Webhooks say with the secret of `/api/training-secret`, or with a token that may ship.
    """
    content = await request.body()
    signed = SIGNATURE in request.headers
    if signed:
        at = rooms.now().timestamp()
        require_signature(rooms.addresses.training_secret(owner), request.headers, content, at)
    else:
        caller = rooms.directory.caller(header(request.scope, b"authorization"))
        caller.take_turn(rooms.clock())
        caller.require(Scope.SHIP)
        owner = _owner_of(caller, owner)
    wish = _read(content)
    require_far_away(wish.source, anywhere=not signed and caller.may(Scope.ADMIN))
    name = parse_name(wish.name) if wish.name is not None else name_from(wish.source)
    require_own_name(rooms, name, owner)
    order = Order(wish.source, name, wish.route, wish.rehearse, ShipOptions(base=wish.base))
    placed = await rooms.deliver(order, agree=wish.agree)
    await belong_to(rooms, order.name, owner)
    return {
        "model": order.name,
        "state": placed.get("state"),
        "route": placed.get("route"),
        "status_url": f"{server_of(rooms, request)}/api/models/{order.name}",
    }


async def secret(rooms: TheRooms, caller: Shipping, request: Request, owner: _Owner = None) -> dict[str, Any]:
    """Give the secret with which a training service signs, and the address that it calls."""
    whose = _owner_of(caller, owner)
    url = f"{server_of(rooms, request)}/api/trainings{f'?owner={whose}' if whose else ''}"
    return {"owner": whose, "secret": rooms.addresses.training_secret(whose), "url": url}


def _owner_of(caller: Caller, asked: str | None) -> str | None:
    if caller.owner is not None and asked not in (None, caller.owner):
        raise TokenNotAllowed(f"The token is {caller.owner}'s, and can't ship for {asked}.")
    return caller.owner or asked


def _read(content: bytes) -> TrainingEnded:
    try:
        return TrainingEnded.model_validate_json(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, row['loc'])) or 'the body'}: {row['msg']}" for row in error.errors()]
        sentence = "; ".join(problems[:20])
        raise BodyInvalid(f"{sentence}.", evidence={"problems": problems[:20]}) from error
