"""The dashboard: pages that the server renders, each with its JSON twin; htmx and server-sent events."""

from __future__ import annotations

from fastapi import APIRouter

from lorry.server.pages.acting import acting_routes
from lorry.server.pages.assets import asset_routes
from lorry.server.pages.costs import cost_routes
from lorry.server.pages.delivering import delivering_routes
from lorry.server.pages.health import health_routes
from lorry.server.pages.live import live_routes
from lorry.server.pages.login import login_routes
from lorry.server.pages.model import model_routes
from lorry.server.pages.models import models_routes
from lorry.server.pages.playing import playing_routes

__all__ = ["pages_router"]


def pages_router() -> APIRouter:
    """Make the routes of all pages."""
    router = APIRouter(include_in_schema=False)
    for add in (
        login_routes,
        asset_routes,
        live_routes,
        models_routes,
        model_routes,
        acting_routes,
        delivering_routes,
        playing_routes,
        cost_routes,
        health_routes,
    ):
        add(router)
    return router
