"""Everything beside the generation routes, as one FastAPI application: the API, and the dashboard."""

from __future__ import annotations

from fastapi import FastAPI

from lorry.server.api.generations import generations_router
from lorry.server.api.models import models_router
from lorry.server.api.operating import operating_router
from lorry.server.api.spending import spending_router
from lorry.server.api.tokens import tokens_router
from lorry.server.api.trainings import trainings_router
from lorry.server.faults import add_fault_handlers
from lorry.server.openapi import describe
from lorry.server.pages import pages_router
from lorry.server.rooms import Rooms

__all__ = ["build_api"]


def build_api(rooms: Rooms) -> FastAPI:
    """Build the application.

    Args:
        rooms: What it works with.
    """
    # Its pages of documentation load scripts from elsewhere, and this server works without the internet.
    app = FastAPI(title="Lorry", version=rooms.version, docs_url=None, redoc_url=None)
    routers = (
        generations_router,
        models_router,
        trainings_router,
        tokens_router,
        spending_router,
        operating_router,
    )
    for router in routers:
        app.include_router(router())
    app.include_router(pages_router())
    app.state.rooms = rooms
    add_fault_handlers(app)
    describe(app)
    return app
