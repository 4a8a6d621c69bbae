"""`GET /v1/models`: what answers without an endpoint, as a bare array (Together API dossier 1.6)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from lorry.engine.together.bases import Base
from lorry.engine.together.identity import key_check
from lorry.engine.works import Works


def router(works: Works) -> APIRouter:
    """Make the route."""
    routes = APIRouter(dependencies=[Depends(key_check(works.config))])

    def models() -> list[dict[str, Any]]:
        """List what answers without an endpoint."""
        return [_row(base) for base in works.catalog.bases]

    routes.add_api_route("/v1/models", models, methods=["GET"], response_model=None)
    return routes


def _row(base: Base) -> dict[str, Any]:
    length = {"context_length": base.context_length} if base.context_length else {}
    return {
        "id": base.name,
        "object": "model",
        "created": 0,
        "type": base.kind,
        "display_name": base.display_name,
        "organization": base.name.partition("/")[0],
        "license": base.licence,
        **length,
        "pricing": {"hourly": 0, "input": 0, "output": 0, "base": 0, "finetune": 0},
    }
