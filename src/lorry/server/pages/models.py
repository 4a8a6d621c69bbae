"""The first page: all models, how each stands, what it did today; found and sorted among thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from lorry.model.placement import Placement, TrainedModel
from lorry.model.tally import Tally
from lorry.server.api.asking import TheRooms
from lorry.server.looks import Today
from lorry.server.pages.rendering import page, twin
from lorry.server.pages.visiting import AnyVisitor, Visitor
from lorry.server.rooms import Rooms
from lorry.server.standing import standing_of

#: Models on one page: what fits on a few screens, and some 10 kB on the line.
PAGE_SIZE = 50

#: Seconds to wait for the numbers of today when nobody has looked for a while.
_PATIENCE = 0.1


_NOTHING = Tally()


class Search(BaseModel):
    """What somebody looks for.

    Attributes:
        q: Words that all have to be in a model's name, base, trigger word or owner.
        state: Only those that stand so.
        route: Only those on this route.
        sort: By what they are sorted: one of `_SORTS`.
        page: Which part of them, from 1.
    """

    q: str = Field("", max_length=200)
    state: str = Field("", max_length=40)
    route: str = Field("", max_length=40)
    sort: Literal["name", "updated", "requests", "success", "cost"] = "name"
    page: int = Field(1, ge=1, le=1_000_000)


_Search = Annotated[Search, Query()]


@dataclass(frozen=True, slots=True)
class Row:
    """A model as the list sorts and shows it."""

    model: TrainedModel
    placement: Placement | None
    standing: str
    tally: Tally
    cents: float
    text: str

    @property
    def updated(self) -> str:
        """When something of it changed."""
        at = self.placement.updated_at if self.placement else self.model.created_at
        return at.isoformat()

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        model, placement = self.model, self.placement
        proof = placement.proof if placement else None
        return {
            "name": model.name,
            "kind": model.kind,
            "base": model.base,
            "trigger": model.trigger,
            "standing": self.standing,
            "route": placement.route if placement else None,
            "rehearsal": placement.rehearsal if placement else False,
            "step": placement.step if placement else None,
            "proof": proof.as_dict() if proof else None,
            "error": placement.error if placement else None,
            "updated_at": self.updated,
            "requests": self.tally.requests,
            "success": self.tally.success,
            "cents_today": round(self.cents, 4),
        }


_SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.model.name,
    "updated": lambda row: _backwards(row.updated),
    "requests": lambda row: (-row.tally.requests, row.model.name),
    "success": lambda row: (2.0 if row.tally.success is None else row.tally.success, row.model.name),
    "cost": lambda row: (-row.cents, row.model.name),
}


def models_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/", shown, methods=["GET"])
    router.add_api_route("/models", shown, methods=["GET"])
    router.add_api_route("/models.json", data, methods=["GET"])


async def shown(request: Request, rooms: TheRooms, visitor: AnyVisitor, search: _Search) -> Response:
    """Show the page, or only the list where htmx asks for that."""
    view = await view_of(rooms, visitor, search)
    part = request.headers.get("hx-target") == "list"
    return page(request, visitor, "parts/models.html" if part else "models.html", view)


async def data(rooms: TheRooms, visitor: AnyVisitor, search: _Search) -> Response:
    """Give the same as JSON."""
    return twin(await view_of(rooms, visitor, search))


async def view_of(rooms: Rooms, visitor: Visitor, search: Search) -> dict[str, Any]:
    """Find, count, sort and cut.

    Args:
        rooms: What the server works with.
        visitor: Who looks.
        search: What they look for.
    """
    today = await rooms.desk.looks.today.value(_PATIENCE)
    words = search.q.lower().split()
    every = _every(rooms, visitor, today)
    every = [row for row in every if all(word in row.text for word in words)] if words else every
    states = Counter(row.standing for row in every)
    routes = Counter(row.placement.route for row in every if row.placement)
    found = [
        row
        for row in every
        if (not search.state or row.standing == search.state)
        and (not search.route or (row.placement and row.placement.route == search.route))
    ]
    found.sort(key=_SORTS[search.sort])  # of a new list: the one of all models is remembered
    pages = max(1, -(-len(found) // PAGE_SIZE))
    number = min(search.page, pages)
    cut = found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return {
        "query": {**search.model_dump(), "page": number},
        "pages": pages,
        "found": len(found),
        "known": len(every),
        "states": dict(states.most_common()),
        "routes": dict(routes.most_common()),
        "counted": today is not None,
        "models": [row.as_dict() for row in cut],
    }


def _every(rooms: Rooms, visitor: Visitor, today: Today | None) -> list[Row]:
    """Give all models that somebody may see; again as they were given before while nothing changed."""
    snapshot, caller = rooms.directory.now, visitor.caller

    def rows() -> list[Row]:
        return [_row(rooms, name, today) for name in snapshot.seen_by(caller)]

    if rooms.healths.known or rooms.waker.under_way:  # how places answer changes without the tables
        return rows()
    return rooms.desk.looks.remembered(("rows", caller.owner, caller.models), (snapshot, today), rows)


def _row(rooms: Rooms, name: str, today: Today | None) -> Row:
    snapshot = rooms.directory.now
    model, placement = snapshot.models[name], snapshot.placements.get(name)
    tally = today.tallies.get(name, _NOTHING) if today else _NOTHING
    cents = today.cents.get(name, 0.0) if today else 0.0
    text = f"{name} {model.base} {model.trigger or ''} {snapshot.policy(name).owner or ''}".lower()
    standing = standing_of(rooms, name, placement, today.asleep if today else ())
    return Row(model, placement, standing, tally, cents, text)


def _backwards(text: str) -> tuple[int, ...]:
    """Give a key by which the newest time comes first."""
    return tuple(-ord(sign) for sign in text)
