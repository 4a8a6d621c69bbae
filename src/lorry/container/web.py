"""The worker's own HTTP: health, metrics, and a job by direct request (Together API dossier 4.3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lorry.container.desk import Desk
from lorry.container.faults import fault_data
from lorry.errors import OptionInvalid

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def application(desk: Desk, lifespan: Lifespan | None = None) -> Starlette:
    """Make the ASGI application of a worker.

    Args:
        desk: The worker.
        lifespan: What happens around it; the desk is opened and closed when omitted.
    """
    routes = _Routes(desk)
    return Starlette(
        routes=[
            Route("/health", routes.health),
            Route("/metrics", routes.metrics),
            Route("/generate", routes.generate, methods=["POST"]),
        ],
        lifespan=lifespan or _open_and_close(desk),
    )


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def health(self, _: Request) -> Response:
        if self._desk.healthy:
            return JSONResponse({"status": "healthy"})
        return JSONResponse({"status": "unhealthy"}, status_code=503)

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(f"requests_inflight {float(self._desk.busy)}\n")

    async def generate(self, request: Request) -> Response:
        if self._desk.busy or self._desk.stopping:
            message = "The worker is busy with another job." if self._desk.busy else "The worker is stopping."
            error = {"code": "worker_busy", "message": message, "retryable": True}
            return JSONResponse({"error": error}, status_code=503)
        try:
            args = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            refused = OptionInvalid("The body is no JSON.", fix="Send the job's payload as a JSON object.")
            return JSONResponse({"error": fault_data(refused)}, status_code=400)
        outputs = await self._desk.draw(args, uuid4().hex)
        return JSONResponse(outputs, status_code=_status(outputs))


def _status(outputs: dict[str, object]) -> int:
    error = outputs.get("error")
    if not isinstance(error, dict):
        return 200
    return 500 if error["code"] == "internal_error" else 400


def _open_and_close(desk: Desk) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await desk.open()
        yield
        await desk.close(grace=0)

    return lifespan
