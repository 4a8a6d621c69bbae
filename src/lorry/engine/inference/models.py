"""`GET /v1/models`: what answers without an endpoint, as a bare array (Together API dossier 1.6)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from lorry.engine.config import EngineConfig
from lorry.engine.together.catalog import BASE_NAME, SUPPORTED
from lorry.engine.together.identity import key_check

_BASE: dict[str, Any] = {
    "id": BASE_NAME,
    "object": "model",
    "created": 0,
    "type": "image",
    "display_name": SUPPORTED["displayName"],
    "organization": SUPPORTED["publisher"],
    "license": "apache-2.0",
    "pricing": {"hourly": 0, "input": 0, "output": 0, "base": 0, "finetune": 0},
}


def router(config: EngineConfig) -> APIRouter:
    """Make the route."""
    routes = APIRouter(dependencies=[Depends(key_check(config))])
    routes.add_api_route("/v1/models", _models, methods=["GET"], response_model=None)
    return routes


def _models() -> list[dict[str, Any]]:
    return [_BASE]
