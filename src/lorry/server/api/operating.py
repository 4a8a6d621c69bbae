"""What operators look at: health, readiness, metrics, routes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from lorry.server.api.asking import Admin, Anybody, TheRooms
from lorry.server.standing import health_of


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
    found = (health_of(rooms, name) for name in sorted(rooms.directory.now.seen_by(caller)))
    return {"routes": [row for row in found if row is not None]}


async def mend(
    rooms: TheRooms, _caller: Admin, keys: Annotated[list[str], Body(embed=True, max_length=1000)]
) -> dict[str, Any]:
    """Say that what a person had to mend is mended, so that requests go there again."""
    return {"mended": await rooms.healths.mend(keys)}
