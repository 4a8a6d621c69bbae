"""One model: where it stands, its timeline, its proof, what it runs on, what it costs, and its weights."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lorry.errors import GenerationNotFound
from lorry.journal import status_of
from lorry.journal.timeline import timeline
from lorry.model.events import Event
from lorry.model.placement import Placement, PlacementState, Proof
from lorry.server.api.asking import TheRooms
from lorry.server.pages.leasing import leases_told
from lorry.server.pages.rendering import page, twin
from lorry.server.pages.visiting import AnyVisitor, Visitor
from lorry.server.rooms import Rooms
from lorry.server.standing import health_of, standing_of

#: Lines of the timeline and events that are shown, the newest; the journal has all.
_LINES, _EVENTS = 60, 200

#: Seconds in which a worker has begun, if one is to come.
_WORKER_SECONDS = 10.0

#: Days whose costs are told.
_DAYS = 30


def model_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/models/{name}.json", data, methods=["GET"])
    router.add_api_route("/models/{name}", shown, methods=["GET"])
    router.add_api_route("/models/{name}/now", now, methods=["GET"])
    router.add_api_route("/models/{name}/proof/{side}", proof, methods=["GET"])


async def shown(request: Request, rooms: TheRooms, visitor: AnyVisitor, name: str) -> Response:
    """Show the page."""
    if (gone := await _gone(rooms, visitor, name)) is not None:
        return page(request, visitor, "gone.html", gone)
    return page(request, visitor, "model.html", await view_of(rooms, visitor, name))


async def now(request: Request, rooms: TheRooms, visitor: AnyVisitor, name: str) -> Response:
    """Show what changes while it is delivered."""
    if (gone := await _gone(rooms, visitor, name)) is not None:
        return page(request, visitor, "parts/gone.html", gone)
    return page(request, visitor, "parts/model.html", await view_of(rooms, visitor, name))


async def data(rooms: TheRooms, visitor: AnyVisitor, name: str) -> Response:
    """Give the same as JSON."""
    return twin(await _gone(rooms, visitor, name) or await view_of(rooms, visitor, name))


async def proof(rooms: TheRooms, visitor: AnyVisitor, name: str, side: str) -> Response:
    """Give a picture of the proof: `with` or `without` the adapter.

    Raises:
        GenerationNotFound: There is none, or its file is gone.
    """
    rooms.directory.now.require(name, visitor.caller)
    placement = rooms.directory.now.placements.get(name)
    found = placement.proof if placement else None
    file = {"with": found.file_with, "without": found.file_without}.get(side) if found else None
    if file is None or found is None or found.kind != "picture":
        raise GenerationNotFound(
            f"There is no picture of a proof of {name}.", fix=f"Run `lorry show {name}`."
        )
    try:
        content = await asyncio.to_thread(Path(file).read_bytes)
    except OSError as error:
        raise GenerationNotFound(
            f"The picture {file} can't be read: {error.strerror}.", evidence={"path": file}
        ) from error
    return Response(content, media_type="image/png", headers={"cache-control": "private, no-cache"})


async def _gone(rooms: Rooms, visitor: Visitor, name: str) -> dict[str, Any] | None:
    """Tell of a model that was retired: its journal stays. `None` for any other."""
    snapshot = rooms.directory.now
    if name in snapshot.models or not visitor.caller.sees(name, snapshot.policy(name).owner):
        return None
    events = await rooms.desk.journal.read(name)
    if not events:
        return None
    return {
        "name": name,
        "standing": "retired",
        "lines": [_line(line) for line in timeline(events)[-_LINES:]],
        "hidden_lines": 0,
        "events": [event.as_dict() for event in _newest_first(events)],
        "last_event": events[-1].id,
    }


async def view_of(rooms: Rooms, visitor: Visitor, name: str) -> dict[str, Any]:
    """Put together what the page shows.

    Args:
        rooms: What the server works with.
        visitor: Who looks.
        name: The model.

    Raises:
        ModelNotFound: There is none, or not for them.
    """
    snapshot = rooms.directory.now
    model = snapshot.require(name, visitor.caller)
    placement = snapshot.placements.get(name)
    events = await rooms.desk.journal.read(name)
    lines = timeline(events)
    today = await rooms.desk.looks.today.value(0.1)
    tally = today.tallies.get(name) if today else None
    claim = (await rooms.desk.claims.claims()).get(name) if _works(placement) else None
    return {
        "name": name,
        "model": model.as_dict(),
        "owner": snapshot.policy(name).owner,
        "policy": snapshot.policy(name).as_dict(),
        "placement": placement.as_dict() if placement else None,
        "ids": {key: value for key, value in asdict(placement.ids).items() if value} if placement else {},
        "standing": standing_of(rooms, name, placement, today.asleep if today else ()),
        "health": health_of(rooms, name),
        "worked_on": claim is not None and claim.alive,
        "left_alone": await _left_alone(rooms, placement),
        "status": status_of(placement, events).as_dict() if placement else None,
        "proof": await _proof(placement.proof) if placement and placement.proof else None,
        "lines": [_line(line) for line in lines[-_LINES:]],
        "hidden_lines": max(0, len(lines) - _LINES),
        "events": [event.as_dict() for event in _newest_first(events)],
        "last_event": events[-1].id if events else 0,
        "requests": tally.requests if tally else 0,
        "success": tally.success if tally else None,
        "cents_today": today.cents.get(name, 0.0) if today else 0.0,
        "leases": await _leases(rooms, name, placement),
        "costs": await _costs(rooms, name),
        "actions": _actions(placement),
    }


async def _left_alone(rooms: Rooms, placement: Placement | None) -> bool:
    """Say whether a delivery waits for a worker that does not come."""
    if placement is None or not _works(placement):
        return False
    waits = (rooms.now() - placement.updated_at).total_seconds() > _WORKER_SECONDS
    return waits and not any((await rooms.desk.claims.workers()).values())


def _works(placement: Placement | None) -> bool:
    return placement is not None and placement.state in (PlacementState.DELIVERING, PlacementState.RETIRING)


def _newest_first(events: tuple[Event, ...]) -> list[Event]:
    return list(reversed(events[-_EVENTS:]))


def _line(line: Any) -> dict[str, Any]:
    return {**asdict(line), "state": str(line.state), "began": line.began.isoformat()}


async def _proof(found: Proof) -> dict[str, Any]:
    """Give a proof with a key of its own, and its words where it is of words."""
    told = found.as_dict()
    told["key"] = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    if found.kind != "picture":
        told["text_with"] = await asyncio.to_thread(_words, found.file_with)
        told["text_without"] = await asyncio.to_thread(_words, found.file_without)
    return told


def _words(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")[:20_000]
    except OSError:
        return None


async def _leases(rooms: Rooms, name: str, placement: Placement | None) -> list[dict[str, Any]]:
    """List until when what it runs on may run."""
    objects = set(asdict(placement.ids).values()) if placement else set()
    return await leases_told(rooms, lambda lease: lease.model == name or lease.object in objects)


async def _costs(rooms: Rooms, name: str) -> dict[str, Any]:
    """Say what it cost in the last days."""
    day = rooms.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since = day - timedelta(days=_DAYS - 1)
    for rehearsals in (False, True):
        report = await rooms.desk.looks.costs_seen("model", None, since, rehearsals=rehearsals)
        rows = report.rows if report else ()
        row = next((row for row in rows if row.key == name), None)
        if row is not None and (row.cents or row.requests):
            return {**row.as_dict(), "rehearsals": rehearsals, "days": _DAYS}
    return {"cents": 0.0, "requests": 0, "rehearsals": False, "days": _DAYS}


#: What can be asked for in each state: the action, and the word on its button.
_ASKS = {
    PlacementState.READY: ("start", "stop", "scale", "retire"),
    PlacementState.DELIVERING: ("resume", "cancel", "undo"),
    PlacementState.FAILED: ("resume", "undo"),
    PlacementState.HELD: ("resume", "undo"),
    PlacementState.RETIRING: ("retire",),
}
#: Routes on which a model runs on nothing of its own.
_NOTHING_RUNS = frozenset({"together-url"})


def _actions(placement: Placement | None) -> list[str]:
    """List what can be asked for."""
    if placement is None:
        return []
    asks = _ASKS.get(placement.state, ())
    if placement.route in _NOTHING_RUNS:
        asks = tuple(ask for ask in asks if ask not in ("start", "stop", "scale"))
    return list(asks)
