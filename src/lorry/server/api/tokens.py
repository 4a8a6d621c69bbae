"""Tokens over HTTP, for whoever may do anything."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from lorry.errors import TokenUnknown
from lorry.generation.gateway.minting import mint
from lorry.model.serving import Scope
from lorry.server.api.asking import Admin, Anybody, TheRooms


class NewToken(BaseModel):
    """What a token may."""

    model_config = ConfigDict(extra="forbid")

    owner: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1)] = [Scope.GENERATE]
    models: list[Annotated[str, Field(max_length=100)]] | None = None
    per_second: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    burst: Annotated[int, Field(ge=1, le=100_000)] | None = None
    day_cents: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    month_cents: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


def tokens_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["tokens"])
    router.add_api_route("/api/tokens", tokens, methods=["GET"])
    router.add_api_route("/api/tokens", create, methods=["POST"], status_code=201)
    router.add_api_route("/api/tokens/{id}", revoke, methods=["DELETE"])
    router.add_api_route("/api/webhook-secret", webhook_secret, methods=["GET"])
    return router


async def tokens(rooms: TheRooms, caller: Admin) -> dict[str, Any]:
    """List the tokens; their secrets are nowhere."""
    found = await rooms.access.tokens()
    mine = [token for token in found if caller.owner is None or token.owner == caller.owner]
    return {"tokens": [token.as_dict() for token in mine]}


async def create(rooms: TheRooms, caller: Admin, wish: NewToken) -> dict[str, Any]:
    """Make a token; its secret is in this answer and never again."""
    owner = caller.owner or wish.owner
    secret, token = mint(
        owner,
        frozenset(wish.scopes),
        rooms.now(),
        models=None if wish.models is None else frozenset(wish.models),
        per_second=wish.per_second,
        burst=wish.burst,
        day_cents=wish.day_cents,
        month_cents=wish.month_cents,
    )
    await rooms.access.add_token(token)
    await rooms.refresh()
    return {"secret": secret, **token.as_dict()}


async def revoke(
    rooms: TheRooms,
    caller: Admin,
    id: Annotated[str, Path(max_length=40)],  # noqa: A002
) -> dict[str, Any]:
    """Revoke a token; it counts no more within a second."""
    found = next((token for token in await rooms.access.tokens() if token.id == id), None)
    mine = found is not None and (caller.owner is None or found.owner == caller.owner)
    if not mine or not await rooms.access.revoke(id):
        raise TokenUnknown(f"No valid token {id!r} is known here.")
    await rooms.refresh()
    return {"revoked": id}


async def webhook_secret(rooms: TheRooms, caller: Anybody) -> dict[str, Any]:
    """Give the secret with which messages to the token's owner are signed."""
    return {"owner": caller.owner, "secret": rooms.addresses.webhook_secret(caller.owner)}
