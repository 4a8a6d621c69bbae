"""What operators look at: health, readiness, metrics, routes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from lorry.generation.gateway.healths import keys_of
from lorry.generation.routing.health import WELL
from lorry.server.api.asking import Admin, Anybody, TheRooms


def operating_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["operating"])
    router.add_api_route("/healthz", alive, methods=["GET"])
    router.add_api_route(
        "/readyz",
        ready,
        methods=["GET"],
        responses={503: {"description": "It can't answer yet, or any more."}},
    )
    router.add_api_route("/metrics", metrics, methods=["GET"], response_class=Response)
    router.add_api_route("/api/routes", routes, methods=["GET"])
    router.add_api_route("/api/routes/mend", mend, methods=["POST"])
    return router


async def alive() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


async def ready(rooms: TheRooms, response: Response) -> dict[str, str]:
    """Say whether requests can be answered."""
    why = await rooms.ready()
    response.status_code = 503 if why else 200
    return {"status": why or "ok"}


async def metrics(rooms: TheRooms, _caller: Admin) -> Response:
    """Give the metrics that Prometheus reads."""
    await rooms.measure()
    page, kind = rooms.watch.meters.page()
    return Response(page, headers={"content-type": kind})


async def routes(rooms: TheRooms, caller: Anybody) -> dict[str, Any]:
    """Show where each model can be asked, and how well that place is."""
    snapshot = rooms.directory.now
    rows = []
    for name in sorted(snapshot.seen_by(caller)):
        place = snapshot.place(name)
        if place is None:
            continue
        keys = keys_of(place, rooms.gateway.tries.line_of(place).account)
        states = {key: rooms.healths.known.get(key, WELL) for key in keys}
        now = rooms.clock()
        worst = max(states.values(), key=lambda health: (health.held is not None, health.until))
        rows.append(
            {
                "model": name,
                "route": place.route,
                "state": str(place.placement.state),
                "circuit": str(worst.circuit(now)),
                "why": worst.held or worst.reason or None,
                "again_in": worst.wait(now),
                "starting": name in rooms.waker.under_way,
                "mend": [key for key, health in states.items() if health.held],
            }
        )
    return {"routes": rows}


async def mend(
    rooms: TheRooms, _caller: Admin, keys: Annotated[list[str], Body(embed=True, max_length=1000)]
) -> dict[str, Any]:
    """Say that what a person had to mend is mended, so that requests go there again."""
    return {"mended": await rooms.healths.mend(keys)}
