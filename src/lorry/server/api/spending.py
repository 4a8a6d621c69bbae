"""Money over HTTP: what was spent, what bills until when, and budgets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from lorry.errors import TokenNotAllowed
from lorry.generation.gateway.callers import Caller
from lorry.model.budget import MODEL, OWNER, Budget, require_sound_budget, standings
from lorry.server.api.asking import Admin, TheRooms
from lorry.spend.costs import costs_of

_Scope = Annotated[str, Path(description="all, model:NAME or owner:NAME.", max_length=100)]


class BudgetBody(BaseModel):
    """What may be spent."""

    model_config = ConfigDict(extra="forbid")

    day_cents: float | None = Field(None, ge=0, allow_inf_nan=False)
    month_cents: float | None = Field(None, ge=0, allow_inf_nan=False)
    at_limit: Literal["warn", "soften", "stop"] = "stop"
    warn_at: float = Field(0.8, gt=0, le=1)


def spending_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["spending"])
    router.add_api_route("/api/costs", costs, methods=["GET"])
    router.add_api_route("/api/leases", leases, methods=["GET"])
    router.add_api_route("/api/budgets", budgets, methods=["GET"])
    router.add_api_route("/api/budgets/{scope}", set_budget, methods=["PUT"])
    router.add_api_route("/api/budgets/{scope}", forget_budget, methods=["DELETE"])
    return router


async def costs(
    rooms: TheRooms,
    caller: Admin,
    by: Literal["model", "owner", "route", "day"] = "model",
    since: Annotated[datetime | None, Query(description="That of the month when left out.")] = None,
    until: Annotated[datetime | None, Query(description="Now when left out.")] = None,
    rehearsals: bool = False,
) -> dict[str, Any]:
    """Say what was spent, as of the keeper's last look; a token with an owner sees that of its owner."""
    now = rooms.now()
    begin = _aware(since) if since else now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = min(_aware(until), now) if until else now
    found = await costs_of(rooms.money, min(begin, end), end, by, rehearsal=rehearsals, owner=caller.owner)
    return found.as_dict()


async def leases(rooms: TheRooms, caller: Admin) -> dict[str, Any]:
    """List what bills by the hour, and until when it may."""
    found = await rooms.money.leases()
    mine = [each for each in found if whose_lease(rooms, caller, each.model)]
    return {"leases": [each.as_dict() for each in mine]}


async def budgets(rooms: TheRooms, caller: Admin) -> dict[str, Any]:
    """List the budgets, and how each stands."""
    now = rooms.now()
    found = [each for each in await rooms.money.budgets() if may_know(rooms, caller, each.scope)]
    standing = standings(found, await rooms.money.spent(now), now)
    return {
        "budgets": [each.as_dict() for each in found],
        "standings": [each.as_dict() for each in standing],
    }


async def set_budget(rooms: TheRooms, caller: Admin, scope: _Scope, body: BudgetBody) -> dict[str, Any]:
    """Set what may be spent; it counts at the gateway within a minute."""
    require_own_scope(rooms, caller, scope)
    budget = Budget(scope, body.day_cents, body.month_cents, body.at_limit, body.warn_at)
    require_sound_budget(budget)
    await rooms.money.set_budget(budget)
    return await budgets(rooms, caller)


async def forget_budget(rooms: TheRooms, caller: Admin, scope: _Scope) -> dict[str, Any]:
    """Take a budget away; none of that scope is fine."""
    require_own_scope(rooms, caller, scope)
    await rooms.money.forget_budget(scope)
    return await budgets(rooms, caller)


def whose_lease(rooms: TheRooms, caller: Caller, model: str | None) -> bool:
    """Say whether a caller may know of a lease: the house of all, an owner of its own models'."""
    return caller.owner is None or _is_of(rooms, caller.owner, model)


def _is_of(rooms: TheRooms, owner: str, model: str | None) -> bool:
    return model is not None and rooms.directory.now.policy(model).owner == owner


def may_know(rooms: TheRooms, caller: Caller, scope: str) -> bool:
    """Say whether a caller may know of a budget: the house of all, an owner of its own and its models'."""
    owner = caller.owner
    if owner is None or scope == f"{OWNER}{owner}":
        return True
    return scope.startswith(MODEL) and _is_of(rooms, owner, scope.removeprefix(MODEL))


def require_own_scope(rooms: TheRooms, caller: Caller, scope: str) -> None:
    """Refuse a budget of somebody else.

    Raises:
        TokenNotAllowed: It is one.
    """
    if not may_know(rooms, caller, scope):
        raise TokenNotAllowed(
            f"A token of {caller.owner} can set budgets of {OWNER}{caller.owner} and of its models alone."
        )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
