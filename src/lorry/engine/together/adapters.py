"""Adapters on a running deployment: text only at Together, and so refused here (Together API dossier 2.8)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorry.engine.api_errors import not_now
from lorry.engine.config import EngineConfig
from lorry.engine.together.catalog import BASE_NAME
from lorry.engine.together.wire import project_router

_PATH = "/endpoints/{endpoint}/deployments/{deployment}/adapters"


def router(config: EngineConfig) -> APIRouter:
    """Make the routes."""
    return project_router(config, [("GET", _PATH, _none), ("POST", _PATH, _refuse)])


def _none() -> dict[str, Any]:
    return {"object": "list", "data": [], "next_cursor": None}


def _refuse() -> None:
    raise not_now(
        f"Adapters can be attached to text models only; {BASE_NAME} draws pictures. "
        "Deploy the adapter as a deployment of its own."
    )
