"""Deliver: drop a file or name a repository, see the check, choose a route with its price, ship, watch."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from lorry.errors import BodyInvalid, LorryError
from lorry.model.batch import Order, name_from
from lorry.model.forecast import Price
from lorry.model.names import parse_name
from lorry.model.options import ShipOptions
from lorry.model.serving import ROUTE_ORDER, Scope
from lorry.server.api.asking import TheRooms
from lorry.server.drops import DROPPED
from lorry.server.pages.acting import note
from lorry.server.pages.checking import CONVERT_SECONDS, ROUTES_SECONDS, examined, options_from
from lorry.server.pages.rendering import moved, page, twin
from lorry.server.pages.visiting import AnyVisitor, Form, TheForm, Visitor, require_own_page
from lorry.server.rooms import Rooms
from lorry.server.sourcing import belong_to, require_own_name, resolved

#: What trainers call their files, whatever is in them.
_NAMELESS = frozenset({"pytorch_lora_weights", "adapter_model", "model", "lora"})

#: Where files go up, which have a limit of their own.
UPLOADS = "/deliver/files/"

_Text = Annotated[str, Query(max_length=4000)]


def delivering_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/deliver", shown, methods=["GET"])
    router.add_api_route("/deliver.json", data, methods=["GET"])
    router.add_api_route("/deliver/files/{drop}/{file}", dropped, methods=["PUT"])
    router.add_api_route("/deliver/check", check, methods=["POST"])
    router.add_api_route("/deliver/routes", routes, methods=["POST"])
    router.add_api_route("/deliver/convert", convert, methods=["POST"])
    router.add_api_route("/deliver/ship", ship, methods=["POST"])
    router.add_api_route("/models/{name}/weights", weights, methods=["GET"])


async def shown(
    request: Request, rooms: TheRooms, visitor: AnyVisitor, source: _Text = "", name: _Text = ""
) -> Response:
    """Show the page; with a source that is named, its check is fetched at once."""
    visitor.require(Scope.SHIP)
    view = {"source": source, "name": name, "most": rooms.desk.drops.most}
    return page(request, visitor, "deliver.html", view)


async def data(
    rooms: TheRooms, visitor: AnyVisitor, source: _Text = "", name: _Text = "", base: _Text = ""
) -> Response:
    """Give what the page tells of a source as JSON: the check, and every route with its price."""
    visitor.require(Scope.SHIP)
    if not source:
        return twin({"source": None})
    form = Form({"source": source} | ({"name": name} if name else {}) | ({"base": base} if base else {}))
    report = await examined(rooms, resolved(rooms, visitor.caller, source), source, base or None)
    return twin({**report, "forecasts": (await _forecasts(rooms, visitor, form))["forecasts"]})


async def dropped(request: Request, rooms: TheRooms, visitor: AnyVisitor, drop: str, file: str) -> Response:
    """Take a file, as it is in the body."""
    visitor.require(Scope.SHIP)
    require_own_page(request, visitor)
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > rooms.desk.drops.most:
        limit = rooms.desk.drops.most / 2**20
        raise BodyInvalid(
            f"{file} has {int(said) / 2**20:,.0f} MiB, and a file may have {limit:,.0f}.",
            fix="Raise LORRY_DROP_LIMIT where the server runs, or name a Hub repository.",
        )
    await rooms.desk.drops.take(visitor.caller.owner, drop, file, request.stream())
    return JSONResponse({"source": f"{DROPPED}{drop}", "file": file}, 201)


async def check(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Say what files are, what is wrong with them, and where they run."""
    visitor.require(Scope.SHIP)
    shown_as = form.need("source", "The source")
    source = resolved(rooms, visitor.caller, shown_as)
    try:
        report = await examined(rooms, source, shown_as, form.get("base"))
    except LorryError as error:  # told where the check would be
        return page(request, visitor, "parts/unchecked.html", error.as_dict())
    name = form.get("name") or _name(source, report["summary"]["trigger"])
    return page(request, visitor, "parts/check.html", {**report, "name": name, "ships": True})


async def weights(request: Request, rooms: TheRooms, visitor: AnyVisitor, name: str) -> Response:
    """Say the same of a model that was shipped."""
    model = rooms.directory.now.require(name, visitor.caller)
    try:
        report = await examined(rooms, model.source, model.source)
    except LorryError as error:
        return page(request, visitor, "parts/unchecked.html", error.as_dict())
    return page(request, visitor, "parts/check.html", {**report, "name": name, "ships": False})


async def routes(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Say for each route what would be made, what it costs, and what would be refused."""
    visitor.require(Scope.SHIP)
    return page(request, visitor, "parts/routes.html", await _forecasts(rooms, visitor, form))


async def convert(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Write files in another layout, and go on with those."""
    visitor.require(Scope.SHIP)
    shown_as = form.need("source", "The source")
    known = rooms.directory.now.models.get(form.get("model", ""))
    if known is not None:
        rooms.directory.now.require(known.name, visitor.caller)
    source = known.source if known else resolved(rooms, visitor.caller, shown_as)
    options = options_from(form.get("options", ""))
    drop = secrets.token_hex(12)
    name = form.get("name") or _name(source)
    out = rooms.desk.drops.place(visitor.caller.owner, drop, _file(name, options))
    base = ["--base", form["base"]] if "base" in form and not form["base"].startswith("-") else []
    await rooms.desk.errand(["convert", source, "--out", str(out), *options, *base], CONVERT_SECONDS)
    if known is not None:
        sentence = f"Converted ({' '.join(options) or 'as it needs'}) on the dashboard."
        await note(rooms, visitor, known.name, "convert", sentence, options=options)
    return moved(request, f"/deliver?source={DROPPED}{drop}&name={name}")


async def ship(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Write down that a model shall be shipped, and go to its page."""
    visitor.require(Scope.SHIP)
    source = resolved(rooms, visitor.caller, form.need("source", "The source"))
    name = parse_name(form.need("name", "The name"))
    route = _route(form)
    owner = visitor.caller.owner
    require_own_name(rooms, name, owner)
    order = Order(source, name, route, "rehearse" in form or None, ShipOptions(base=_base(form)))
    await rooms.deliver(order, agree="agreed" in form)
    await belong_to(rooms, name, owner)
    await rooms.refresh()
    sentence = f"Shipped to {route}{' as a rehearsal' if order.rehearse else ''} on the dashboard."
    await note(rooms, visitor, name, "ship", sentence, route=route)
    return moved(request, f"/models/{name}")


async def _forecasts(rooms: Rooms, visitor: Visitor, form: Form) -> dict[str, Any]:
    shown_as = form.need("source", "The source")
    source = resolved(rooms, visitor.caller, shown_as)
    name = parse_name(form.get("name") or name_from(source))
    base, rehearse = _base(form), "rehearse" in form
    words = ["ship", source, "--name", name, "--dry-run"]
    words += ["--rehearse"] if rehearse else []
    words += ["--base", base] if base else []
    told = await rooms.desk.errand(words, ROUTES_SECONDS)
    forecasts = [{**row, "costs": _sentence(row["price"])} for row in told["routes"]]
    forecasts.sort(key=lambda row: not row["runs"])
    return {
        "source": shown_as,
        "name": name,
        "base": base,
        "rehearse": rehearse,
        "forecasts": forecasts,
        "known": name in rooms.directory.now.models,
    }


def _sentence(price: dict[str, Any] | None) -> str | None:
    return Price(**price).sentence if price else None


def _route(form: Form) -> str:
    route = form.need("route", "The route")
    if route not in ROUTE_ORDER:
        raise BodyInvalid(
            f"There is no route {route[:40]!r}.", fix=f"Choose one of: {', '.join(ROUTE_ORDER)}."
        )
    return route


def _base(form: Form) -> str | None:
    base = form.get("base")
    if base is not None and (base.startswith("-") or len(base) > 200):
        raise BodyInvalid(f"{base[:60]!r} is no base model.", fix="Name it as `owner/name`.")
    return base


def _name(source: str, trigger: str | None = None) -> str:
    """Suggest a name: of the file, of its folder where all files are called so, else of the trigger word."""
    path = Path(source)
    named = path.parent.name if path.stem in _NAMELESS else source
    if named.isalnum() and len(named) == 24:  # of what was dropped, which has no folder
        named = trigger or "model"
    try:
        return name_from(named)
    except LorryError:
        return "model"


def _file(name: str, options: list[str]) -> str:
    layout = options[options.index("--to") + 1] if "--to" in options else "converted"
    return f"{name}-peft" if layout == "peft" else f"{name}-{layout}.safetensors"
