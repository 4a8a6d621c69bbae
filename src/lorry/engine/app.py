"""The whole engine as one ASGI application, put together from its services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from lorry.engine import api_errors
from lorry.engine.hub import routes as hub
from lorry.engine.hub.storage import Storage
from lorry.engine.inference import models as inference_models
from lorry.engine.inference.images import Images
from lorry.engine.inference.loras import Loras
from lorry.engine.inference.pictures import Album
from lorry.engine.inference.targets import Targets
from lorry.engine.renderers.port import Renderer
from lorry.engine.repositories import Repositories
from lorry.engine.serving import Serving
from lorry.engine.together import adapters, catalog, identity
from lorry.engine.together.analytics import Analytics
from lorry.engine.together.deployment_requests import Pins
from lorry.engine.together.deployments import Deployments
from lorry.engine.together.downloads import Downloads
from lorry.engine.together.endpoints import Endpoints
from lorry.engine.together.events import Events
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.models import Models
from lorry.engine.together.records import Shelves
from lorry.engine.together.remote_uploads import RemoteUploads
from lorry.engine.together.revision_lists import RevisionLists
from lorry.engine.together.revisions import Check, Revisions
from lorry.engine.together.uploads import Uploads
from lorry.engine.works import Works


@dataclass(frozen=True, slots=True)
class Engine:
    """A built engine: the application, and what a test or the server needs to reach inside it."""

    app: FastAPI
    works: Works
    shelves: Shelves
    serving: Serving
    repositories: Repositories


def build(works: Works, open_renderer: Callable[[], Renderer], check: Check) -> Engine:
    """Put an engine together; nothing listens and nothing is loaded yet.

    Args:
        works: Its state and time; closed with the application.
        open_renderer: Opens what it draws with, when it is first needed.
        check: Validates uploaded files for a base model.
    """
    shelves = Shelves(works.documents)
    serving = Serving(open_renderer)
    repositories = Storage(works)
    app = FastAPI(
        title="Lorry engine",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(works, serving),
    )
    api_errors.install(app)
    for router in _together(works, shelves, serving, repositories, check):
        app.include_router(router)
    app.add_api_route("/health", _health, methods=["GET"], response_model=None)
    # Last, for the addresses of repositories (`/owner/name/…`) would hide the others.
    app.include_router(hub.router(repositories))
    return Engine(app, works, shelves, serving, repositories)


def _together(
    works: Works, shelves: Shelves, serving: Serving, repositories: Storage, check: Check
) -> list[APIRouter]:
    config = works.config
    revisions = Revisions(works, shelves, check)
    models = Models(works, shelves, revisions)
    remote_uploads = RemoteUploads(works, shelves, models, revisions, repositories)
    events = Events(works, shelves)
    lifecycle = Lifecycle(works, shelves, revisions, serving, events)
    deployments = Deployments(works, shelves, Pins(models, revisions), lifecycle, events)
    endpoints = Endpoints(works, shelves, deployments, events)
    album = Album(works.pictures)
    targets = Targets(shelves, endpoints, deployments, lifecycle)
    loras = Loras(works, models, revisions, repositories)
    return [
        identity.router(config),
        catalog.router(config),
        # `models/upload…` has to be found before `models/{id}`.
        Uploads(works, shelves, models, revisions).router(),
        remote_uploads.router(),
        Downloads(works, shelves, models, revisions).router(),
        models.router(),
        RevisionLists(config, models, revisions, remote_uploads).router(),
        endpoints.router(),
        Analytics(works, shelves, endpoints).router(),
        deployments.router(),
        adapters.router(config),
        Images(works, shelves, targets, loras, serving, album).router(),
        inference_models.router(config),
        album.router(),
    ]


async def _health() -> dict[str, str]:
    return {"status": "ok"}


def _lifespan(works: Works, serving: Serving) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        serving.close()
        works.close()

    return lifespan
