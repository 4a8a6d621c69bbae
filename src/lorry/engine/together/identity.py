"""Who asks, and for which project (Together API dossier 2.1)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request

from lorry.engine.api_errors import Refusal, Rpc, invalid, not_found
from lorry.engine.config import EngineConfig
from lorry.engine.paging import DEFAULT_LIMIT, Limit

ORGANIZATION_ID = "org_local"
PROJECT_ID = "proj_local"
PROJECT_SLUG = "local"

#: The project that owns the base models and their configurations, as Together's own models have one.
PUBLIC_ORGANIZATION_ID = "org_lorry"
PUBLIC_PROJECT_ID = "proj_lorry"
PUBLIC_SLUG = "lorry"

_PROJECT = {"id": PROJECT_ID, "name": "Local", "slug": PROJECT_SLUG}
_ORGANIZATION = {"id": ORGANIZATION_ID, "name": "This machine"}


def key_check(config: EngineConfig) -> Callable[[Request], None]:
    """Make the dependency that refuses a request without the right key."""

    def check(request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refusal(
                Rpc.UNAUTHENTICATED,
                "The request has no API key; send `Authorization: Bearer KEY`.",
                reason="missing_api_key",
            )
        if config.api_key is not None and not hmac.compare_digest(key.encode(), config.api_key.encode()):
            raise Refusal(
                Rpc.UNAUTHENTICATED, "The API key was rejected by this engine.", reason="invalid_api_key"
            )

    return check


def project_check(project: str, request: Request) -> None:
    """Refuse a project that does not exist here, and every change in the public one."""
    if project == PROJECT_ID:
        return
    if project != PUBLIC_PROJECT_ID:
        raise not_found(f"The project {project} (this engine has {PROJECT_ID})")
    if request.method != "GET":
        raise Refusal(Rpc.PERMISSION_DENIED, f"Nothing in the public project {project} can be changed.")


def bare_name(name: str, what: str) -> str:
    """Take the slug off a name that may be qualified (`local/tok`), and check the rest.

    Raises:
        Refusal: It has another project's slug, or characters that a name can't have.
    """
    slug, found, bare = name.rpartition("/")
    if found and slug != PROJECT_SLUG:
        raise invalid(f"The name {name!r} of {what} is outside the project {PROJECT_SLUG!r}.", "name")
    allowed = bare.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(bare) > 128:
        raise invalid(
            f"{bare!r} can't be the name of {what}: use letters, digits, dots, hyphens, underscores.",
            "name",
        )
    return bare


def router(config: EngineConfig) -> APIRouter:
    """Make the routes that say who the key belongs to."""
    routes = APIRouter(dependencies=[Depends(key_check(config))])

    def whoami() -> dict[str, Any]:
        """Say who the key belongs to."""
        return {
            "type": "project_api_key",
            "api_key": {"id": "key_local"},
            "organization": _ORGANIZATION,
            "project": _PROJECT,
        }

    def projects(limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
        """List the one project."""
        row = {**_PROJECT, "organization_id": ORGANIZATION_ID, "organization_name": _ORGANIZATION["name"]}
        shown = [row][:limit] if after is None else []
        return {"object": "list", "data": shown, "next_cursor": None}

    routes.add_api_route("/v3/whoami", whoami, methods=["GET"], response_model=None)
    routes.add_api_route("/v1/whoami", whoami, methods=["GET"], response_model=None)
    routes.add_api_route("/v1/projects", projects, methods=["GET"], response_model=None)
    return routes
