"""Health: how well each route answers, how quickly, what goes wrong, and who delivers what."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lorry.model.placement import Placement
from lorry.model.serving import Scope
from lorry.model.tally import Hour, joined, quantile
from lorry.model.underway import OPEN
from lorry.server.api.asking import TheRooms
from lorry.server.looks import HOURS
from lorry.server.pages.acting import note
from lorry.server.pages.rendering import page, told, twin
from lorry.server.pages.visiting import AnyVisitor, TheForm, Visitor
from lorry.server.rooms import Rooms
from lorry.server.standing import health_of

#: Deliveries and sick places that are listed; the JSON twin has all.
_LISTED = 50
#: Kinds of errors that are told apart in the chart; the rest is one.
_CODES = 6


def health_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/health", shown, methods=["GET"])
    router.add_api_route("/health.json", data, methods=["GET"])
    router.add_api_route("/health/mend", mend, methods=["POST"])


async def shown(request: Request, rooms: TheRooms, visitor: AnyVisitor) -> Response:
    """Show the page, or only what changes where htmx asks for that."""
    view = await view_of(rooms, visitor)
    for name in ("deliveries", "unwell"):
        view[name] = view[name][:_LISTED]
    part = request.headers.get("hx-target") == "health"
    return page(request, visitor, "parts/health.html" if part else "health.html", view)


async def data(rooms: TheRooms, visitor: AnyVisitor) -> Response:
    """Give the same as JSON."""
    return twin(await view_of(rooms, visitor))


async def mend(request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm) -> Response:
    """Say that what a person had to mend is mended."""
    visitor.require(Scope.ADMIN)
    mended = await rooms.healths.mend(form.need("keys", "What is mended").split("\n"))
    for name in mended:
        if name in rooms.directory.now.models:
            await note(rooms, visitor, name, "mend", "It was said to be mended.")
    return told(request, visitor, f"Requests go to {', '.join(mended) or 'it'} again.")


async def view_of(rooms: Rooms, visitor: Visitor) -> dict[str, Any]:
    """Put together what the page shows.

    Args:
        rooms: What the server works with.
        visitor: Who looks.
    """
    snapshot = rooms.directory.now
    seen = snapshot.seen_by(visitor.caller)
    hours = await rooms.desk.looks.hours(visitor.caller.owner).value(1.0) or ()
    placements = [snapshot.placements[name] for name in seen if name in snapshot.placements]
    queue = await rooms.kept.counts() if visitor.caller.owner is None else {}
    deliveries = [each for each in placements if each.state in OPEN]
    return {
        "ready": (await rooms.ready()) or None,
        "in_flight": rooms.watch.in_flight,
        "queue": queue,
        "routes": _routes(hours, placements),
        "hours": _hours(rooms, hours),
        "requests": sum(sum(hour.outcomes.values()) for hour in hours),
        "p50": quantile(joined(hours), 0.5),
        "p95": quantile(joined(hours), 0.95),
        "codes": dict(_codes(hours).most_common()),
        "unwell": _unwell(rooms, seen),
        "deliveries": await _deliveries(rooms, deliveries),
        "deliveries_known": len(deliveries),
        "workers": await _workers(rooms) if visitor.caller.owner is None else [],
    }


def _codes(hours: tuple[Hour, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for hour in hours:
        found.update(hour.codes)
    return found


def _hours(rooms: Rooms, hours: tuple[Hour, ...]) -> list[dict[str, Any]]:
    """Give a row for each hour, also for those without requests."""
    known = {hour.hour: hour for hour in hours}
    common = [code for code, _ in _codes(hours).most_common(_CODES)]
    begin = rooms.now().replace(minute=0, second=0, microsecond=0)
    rows = []
    for number in range(HOURS - 1, -1, -1):
        at = begin - timedelta(hours=number)
        hour = known.get(at.isoformat()[:13], Hour(at.isoformat()[:13]))
        good, bad = _good_and_bad(hour)
        codes = {code: hour.codes.get(code, 0) for code in common}
        rest = sum(hour.codes.values()) - sum(codes.values())
        rows.append(
            {
                "at": at.isoformat(),
                "requests": sum(hour.outcomes.values()),
                "success": good / (good + bad) if good + bad else None,
                "p50": quantile(hour.spans, 0.5),
                "p95": quantile(hour.spans, 0.95),
                "codes": codes | ({"others": rest} if rest or len(common) == _CODES else {}),
            }
        )
    return rows


def _good_and_bad(hour: Hour) -> tuple[int, int]:
    return hour.outcomes.get("ok", 0), hour.outcomes.get("failed", 0) + hour.outcomes.get("unknown", 0)


def _routes(hours: tuple[Hour, ...], placements: list[Placement]) -> list[dict[str, Any]]:
    """Say for each route how many models it has, and how its requests went."""
    counts = Counter(each.route for each in placements)
    totals: dict[str, list[int]] = {route: [0, 0] for route in counts}
    for hour in hours:
        for route, (good, bad) in hour.routes.items():
            both = totals.setdefault(route, [0, 0])
            both[0] += good
            both[1] += bad
    return [
        {
            "route": route,
            "models": counts[route],
            "requests": good + bad,
            "success": good / (good + bad) if good + bad else None,
        }
        for route, (good, bad) in sorted(totals.items())
    ]


def _unwell(rooms: Rooms, seen: list[str]) -> list[dict[str, Any]]:
    if not rooms.healths.known:
        return []
    found = (health_of(rooms, name) for name in seen)
    return [row for row in found if row is not None and row["circuit"] != "closed"]


async def _deliveries(rooms: Rooms, placements: list[Placement]) -> list[dict[str, Any]]:
    claims = await rooms.desk.claims.claims() if placements else {}
    workers = {worker.id: worker for worker in await rooms.desk.claims.workers()} if placements else {}
    found = []
    for placement in sorted(placements, key=lambda each: each.updated_at, reverse=True):
        claim = claims.get(placement.model)
        who = workers.get(claim.worker) if claim and claim.alive else None
        found.append(
            {
                "model": placement.model,
                "route": placement.route,
                "rehearsal": placement.rehearsal,
                "state": str(placement.state),
                "step": placement.step,
                "worker": f"process {who.pid} on {who.host}" if who else None,
                "error": placement.error,
                "updated_at": placement.updated_at.isoformat(),
            }
        )
    return found


async def _workers(rooms: Rooms) -> list[dict[str, Any]]:
    claims = await rooms.desk.claims.claims()
    held = Counter(claim.worker for claim in claims.values())
    return [
        {
            "id": worker.id,
            "host": worker.host,
            "pid": worker.pid,
            "alive": alive,
            "deliveries": held[worker.id],
        }
        for worker, alive in (await rooms.desk.claims.workers()).items()
    ]
