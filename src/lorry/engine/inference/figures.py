"""`GET /metrics`: what was measured while pictures were drawn, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from lorry.engine.config import EngineConfig
from lorry.engine.drawing.port import ImageServing
from lorry.engine.together.identity import key_check

#: Prometheus's text format (prometheus.io/docs/instrumenting/exposition_formats).
_KIND = "text/plain; version=0.0.4; charset=utf-8"


def router(config: EngineConfig, serving: ImageServing) -> APIRouter:
    """Make the route.

    Args:
        config: Says which keys are taken.
        serving: What is measured.
    """

    async def metrics() -> Response:
        """Give adapters in memory, hits, load times, batch sizes, waits, step times and memory."""
        page = await run_in_threadpool(serving.metrics)
        return Response(page, headers={"content-type": _KIND})

    routes = APIRouter(dependencies=[Depends(key_check(config))])
    routes.add_api_route("/metrics", metrics, methods=["GET"], response_class=Response)
    return routes
