"""Costs: what was spent on what and how much of it on nothing, what bills until when, and budgets."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lorry.errors import DatabaseUnreachable, OptionInvalid
from lorry.model.budget import AT_LIMIT, MODEL, Budget, require_sound_budget, standings
from lorry.model.serving import Scope
from lorry.server.api.asking import TheRooms
from lorry.server.api.spending import may_know, require_own_scope, whose_lease
from lorry.server.pages.acting import note
from lorry.server.pages.leasing import leases_told
from lorry.server.pages.rendering import page, told, twin
from lorry.server.pages.visiting import AnyVisitor, Form, TheForm, Visitor
from lorry.server.rooms import Rooms

_LOG = logging.getLogger("lorry.server")

#: Models that are listed; the JSON twin and `lorry costs` have all.
_MODELS = 50

_Days = Annotated[int, Query(ge=1, le=366)]


def cost_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/costs", shown, methods=["GET"])
    router.add_api_route("/costs.json", data, methods=["GET"])
    router.add_api_route("/costs/budgets", set_budget, methods=["POST"])
    router.add_api_route("/costs/budgets/forget", forget_budget, methods=["POST"])


async def shown(
    request: Request, rooms: TheRooms, visitor: AnyVisitor, days: _Days = 30, rehearsals: bool = False
) -> Response:
    """Show the page, or only what the period changes where htmx asks for that."""
    view = await view_of(rooms, visitor, days, rehearsals=rehearsals)
    view["models"] = view["models"][:_MODELS]
    part = request.headers.get("hx-target") == "spent"
    return page(request, visitor, "parts/spent.html" if part else "costs.html", view)


async def data(rooms: TheRooms, visitor: AnyVisitor, days: _Days = 30, rehearsals: bool = False) -> Response:
    """Give the same as JSON."""
    return twin(await view_of(rooms, visitor, days, rehearsals=rehearsals))


async def view_of(rooms: Rooms, visitor: Visitor, days: int, *, rehearsals: bool) -> dict[str, Any]:
    """Put together what the page shows.

    Args:
        rooms: What the server works with.
        visitor: Who looks.
        days: How many days, today included.
        rehearsals: Whether rehearsals are what is told of.
    """
    visitor.require(Scope.ADMIN)
    owner, now = visitor.caller.owner, rooms.now()
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    by_day = await rooms.desk.looks.costs_seen("day", owner, begin, rehearsals=rehearsals)
    by_model = await rooms.desk.looks.costs_seen("model", owner, begin, rehearsals=rehearsals)
    if by_day is None or by_model is None:
        raise DatabaseUnreachable("What was spent can't be read now.", fix="Reload the page in a minute.")
    budgets = [each for each in await rooms.money.budgets() if may_know(rooms, visitor.caller, each.scope)]
    spent = await rooms.money.spent(now) if budgets else {}
    return {
        "days": days,
        "rehearsals": rehearsals,
        "since": begin.isoformat(),
        "total": by_model.total.as_dict(),
        "rehearsed_cents": by_model.rehearsed_cents,
        "by_day": _every_day(begin, days, {row.key: row.as_dict() for row in by_day.rows}),
        "models": [row.as_dict() for row in by_model.rows],
        "models_known": len(by_model.rows),
        "leases": await leases_told(rooms, lambda lease: whose_lease(rooms, visitor.caller, lease.model)),
        "budgets": [each.as_dict() for each in budgets],
        "standings": [each.as_dict() for each in standings(budgets, spent, now)],
        "at_limit": list(AT_LIMIT),
    }


async def set_budget(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Set what may be spent."""
    visitor.require(Scope.ADMIN)
    scope = form.need("scope", "The scope")
    require_own_scope(rooms, visitor.caller, scope)
    day, month = _cents(form, "day"), _cents(form, "month")
    if day is None and month is None:
        raise OptionInvalid(
            "A budget says what may be spent in a day, in a month, or both.", fix="Fill one in."
        )
    budget = Budget(scope, day, month, form.get("at_limit", "stop"))
    require_sound_budget(budget)
    await rooms.money.set_budget(budget)
    await _noted(rooms, visitor, scope, f"A budget was set: {_told(budget)}.")
    return told(request, visitor, f"The budget of {scope} is set; it counts within a minute.")


async def forget_budget(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Take a budget away."""
    visitor.require(Scope.ADMIN)
    scope = form.need("scope", "The scope")
    require_own_scope(rooms, visitor.caller, scope)
    await rooms.money.forget_budget(scope)
    await _noted(rooms, visitor, scope, "Its budget was taken away.")
    return told(request, visitor, f"The budget of {scope} is gone.")


async def _noted(rooms: Rooms, visitor: Visitor, scope: str, sentence: str) -> None:
    """Write it into the journal of the model that it is about; of other scopes it is in the log."""
    model = scope.removeprefix(MODEL)
    if scope.startswith(MODEL) and model in rooms.directory.now.models:
        await note(rooms, visitor, model, "budget", sentence)
    else:
        _LOG.warning("%s: %s By %s.", scope, sentence, visitor.who)


def _told(budget: Budget) -> str:
    parts = (("day", budget.day_cents), ("month", budget.month_cents))
    said = [f"${cents / 100:.2f} a {period}" for period, cents in parts if cents is not None]
    return f"{' and '.join(said)}, then {budget.at_limit}"


def _cents(form: Form, name: str) -> float | None:
    dollars = form.number(name, f"What may be spent in a {name}")
    return None if dollars is None else dollars * 100


def _every_day(begin: datetime, days: int, known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Give a row for each day, also for those on which nothing was spent: a chart has no holes."""
    names = [(begin + timedelta(days=number)).date().isoformat() for number in range(days)]
    nothing = {"hours_cents": 0.0, "requests_cents": 0.0, "cents": 0.0, "requests": 0, "minutes": 0.0,
               "idle_share": 0.0}  # fmt: skip
    return [{**nothing, **{key: known.get(name, {}).get(key, nothing[key]) for key in nothing}, "day": name}
            for name in names]  # fmt: skip
