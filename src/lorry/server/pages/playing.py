"""The playground: a prompt and its numbers, with and without the adapter, or two models; and the history."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from lorry.errors import GenerationNotFound
from lorry.generation.options import MAX_SEED
from lorry.model.kept import Generated, State
from lorry.model.placement import PlacementState
from lorry.model.serving import Scope
from lorry.server.api.asking import TheRooms
from lorry.server.pages.inside import asked_inside
from lorry.server.pages.rendering import page, twin
from lorry.server.pages.visiting import AnyVisitor, Form, TheForm, Visitor
from lorry.server.rooms import Rooms

#: What the key of a request from here begins with: the history is found by it.
KEY = "playground-"

#: How a page names the pictures that it wants to see while they are drawn.
PREVIEW = r"^[0-9a-f]{24}-[01]$"

#: Generations in the history, and models that a search offers.
_HISTORY, _OFFERED = 24, 20

_Text = Annotated[str, Query(max_length=200)]

#: Fields of the form that are whole numbers for pictures, that are numbers, and those for words.
_WHOLE, _NUMBERS = (("steps", "The number of steps"), ("seed", "The seed")), (("scale", "The scale"),)


def playing_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/playground", shown, methods=["GET"])
    router.add_api_route("/playground.json", data, methods=["GET"])
    router.add_api_route("/playground/offered", offered, methods=["GET"])
    router.add_api_route("/playground/results", generate, methods=["POST"])
    router.add_api_route("/playground/results/{id}", look, methods=["GET"])
    router.add_api_route("/playground/previews/{name}", previewed, methods=["GET"])
    router.add_api_route("/playground/history", history, methods=["GET"])


async def shown(request: Request, rooms: TheRooms, visitor: AnyVisitor, model: _Text = "") -> Response:
    """Show the page."""
    return page(request, visitor, "playground.html", await view_of(rooms, visitor, model))


async def data(rooms: TheRooms, visitor: AnyVisitor, model: _Text = "") -> Response:
    """Give the same as JSON."""
    return twin(await view_of(rooms, visitor, model))


async def view_of(rooms: Rooms, visitor: Visitor, model: str) -> dict[str, Any]:
    """Put together what the page shows.

    Args:
        rooms: What the server works with.
        visitor: Who looks.
        model: The model to begin with; the first that answers when empty.
    """
    visitor.require(Scope.GENERATE)
    names = _offered(rooms, visitor, "")
    chosen = model if model in rooms.directory.now.models else (names[0]["name"] if names else "")
    if chosen:
        rooms.directory.now.require(chosen, visitor.caller)
    known = rooms.directory.now.models.get(chosen)
    return {
        "model": chosen,
        "kind": known.kind if known else "image-lora",
        "trigger": known.trigger if known else None,
        "offered": names,
        "history": await _history(rooms, visitor),
    }


async def offered(
    request: Request, rooms: TheRooms, visitor: AnyVisitor, model: _Text = "", other: _Text = ""
) -> Response:
    """Offer the models whose names have what was typed in them."""
    visitor.require(Scope.GENERATE)
    found = _offered(rooms, visitor, (other or model).lower())
    return page(request, visitor, "parts/offered.html", {"offered": found})


async def generate(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Generate what the form says, and what it is to be compared with."""
    visitor.require(Scope.GENERATE)
    sides = _sides(rooms, visitor, form)
    for _ in sides[1:]:
        visitor.caller.take_turn(rooms.clock())
    for number, (_, body) in enumerate(sides):
        if "preview" in body:
            body["preview"] += f"-{number}"
    found = await asyncio.gather(*(_side(request, rooms, visitor, label, body) for label, body in sides))
    news = {"HX-Trigger-After-Settle": "lorry:generated"}
    return page(request, visitor, "parts/results.html", {"results": found}, headers=news)


async def look(request: Request, rooms: TheRooms, visitor: AnyVisitor, id: str) -> Response:  # noqa: A002
    """Show a generation that had to wait."""
    visitor.require(Scope.GENERATE)
    row = await rooms.queue.find(id, visitor.caller)
    if row.key is not None and not row.key.startswith(KEY):
        raise GenerationNotFound(f"{id[:60]} is not from the playground.")
    return page(request, visitor, "parts/result.html", await _of_row(rooms, row, row.model))


async def previewed(
    rooms: TheRooms, visitor: AnyVisitor, name: Annotated[str, Path(pattern=PREVIEW)]
) -> Response:
    """Show a picture while the embedded engine draws it; nobody can guess the name of another's."""
    visitor.require(Scope.GENERATE)
    rooms.desk.streams.require_room()

    async def told() -> AsyncIterator[str]:
        with rooms.desk.streams.one():
            async for event in rooms.desk.previews(name):
                yield f"data: {event}\n\n"
        yield "event: ended\ndata: {}\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told(), 200, headers, "text/event-stream")


async def history(request: Request, rooms: TheRooms, visitor: AnyVisitor) -> Response:
    """Show what was generated here before."""
    visitor.require(Scope.GENERATE)
    return page(request, visitor, "parts/history.html", {"history": await _history(rooms, visitor)})


def _offered(rooms: Rooms, visitor: Visitor, words: str) -> list[dict[str, Any]]:
    snapshot = rooms.directory.now
    found = []
    for name in sorted(snapshot.seen_by(visitor.caller)):
        placement = snapshot.placements.get(name)
        if words in name and placement is not None and placement.state is PlacementState.READY:
            model = snapshot.models[name]
            found.append({"name": name, "kind": model.kind, "base": model.base, "trigger": model.trigger})
            if len(found) == _OFFERED:
                break
    return found


def _sides(rooms: Rooms, visitor: Visitor, form: Form) -> list[tuple[str, dict[str, Any]]]:
    """Give what is to be generated: one request, or two that differ in one thing."""
    name = form.need("model", "The model")
    pictures = rooms.directory.now.require(name, visitor.caller).kind == "image-lora"
    fields = _fields(form, pictures=pictures)
    sides = [(name, {**fields, "model": name})]
    compare = form.get("compare", "none")
    if compare == "without" and pictures:
        sides.insert(0, (f"without {name}", {**fields, "model": name, "scale": 0}))
        sides[1] = (f"with {name}", sides[1][1])
    elif compare == "other" and "other" in form:
        other = form["other"]
        kind = rooms.directory.now.require(other, visitor.caller).kind
        more = fields if (kind == "image-lora") == pictures else _fields(form, pictures=not pictures)
        sides.append((other, {**more, "model": other}))
    return sides


def _fields(form: Form, *, pictures: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"prompt": form.need("prompt", "The prompt")}
    whole = {name: form.number(name, what) for name, what in _WHOLE}
    seed = whole["seed"]
    fields["seed"] = secrets.randbelow(MAX_SEED) if seed is None else _plain(seed)
    if not pictures:
        most = form.number("max_tokens", "The number of tokens")
        return fields | ({"max_tokens": _plain(most)} if most is not None else {})
    fields["response_format"] = "url"
    if re.fullmatch(PREVIEW, f"{form.get('preview', '')}-0"):
        fields["preview"] = form["preview"]
    for name, what in _NUMBERS:
        if (value := form.number(name, what)) is not None:
            fields[name] = value
    if whole["steps"] is not None:
        fields["steps"] = _plain(whole["steps"])
    if "size" in form:
        fields["size"] = int(form["size"]) if form["size"].isdigit() else form["size"]
    return fields


def _plain(number: float) -> float | int:
    """Give a whole number as one; any other is refused where all fields are."""
    return int(number) if number == int(number) else number


async def _side(
    request: Request, rooms: Rooms, visitor: Visitor, label: str, fields: dict[str, Any]
) -> dict[str, Any]:
    key = KEY + secrets.token_hex(12)
    answer = await asked_inside(rooms, visitor, request.scope, key, fields)
    state = "failed" if answer.error is not None else "waiting" if answer.waits else "done"
    told = answer.told or {}
    return {
        "label": label,
        "id": str(told.get("id", key)),
        "state": state,
        "error": answer.error,
        "fields": _shown(fields),
        "told": told,
    }


async def _of_row(rooms: Rooms, row: Generated, label: str) -> dict[str, Any]:
    state = {State.DONE: "done", State.FAILED: "failed", State.CANCELED: "canceled"}.get(row.state, "waiting")
    view: dict[str, Any] = {
        "label": label,
        "id": row.id,
        "state": state,
        "error": row.error,
        "fields": _shown(json.loads(row.body)),
        "told": row.note or {},
    }
    if row.state is State.DONE:
        body, _ = await rooms.gateway.keeper.sending.rendered(row, "")
        view["told"] = json.loads(body)
    return view


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    names = ("model", "prompt", "seed", "steps", "size", "scale", "max_tokens")
    return {name: fields[name] for name in names if name in fields}


async def _history(rooms: Rooms, visitor: Visitor) -> list[dict[str, Any]]:
    caller = visitor.caller
    rows = await rooms.kept.listed(caller.owner, everybody=False, limit=_HISTORY, key=KEY)
    found = []
    for row in rows:
        answer = row.answer or {}
        made = [rooms.addresses.path(each["digest"], each["media"]) for each in answer.get("pictures", ())]
        words = ((answer.get("told") or {}).get("words") or {}).get("text")
        found.append(
            {
                "id": row.id,
                "state": str(row.state),
                "at": row.created_at.isoformat(),
                "fields": _shown(json.loads(row.body)),
                "pictures": made,
                "words": words,
            }
        )
    return found
