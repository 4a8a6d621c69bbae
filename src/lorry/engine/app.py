"""The whole engine as one ASGI application, put together from its services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from lorry.engine import api_errors
from lorry.engine.containers import routes as containers
from lorry.engine.control.dooms import Dooms
from lorry.engine.control.faulty import Faulty
from lorry.engine.control.routes import Control
from lorry.engine.drawing.port import ImageServing
from lorry.engine.hub import routes as hub
from lorry.engine.hub.storage import Storage
from lorry.engine.inference import figures, previews
from lorry.engine.inference import models as inference_models
from lorry.engine.inference.chat import Chat
from lorry.engine.inference.completions import Completions
from lorry.engine.inference.images import Images
from lorry.engine.language_serving import LanguageServing, OpenLanguage
from lorry.engine.legacy.endpoints import LegacyEndpoints
from lorry.engine.legacy.uploads import LegacyUploads
from lorry.engine.services import Services, assemble
from lorry.engine.together import identity
from lorry.engine.together.adapters import Adapters
from lorry.engine.together.analytics import Analytics
from lorry.engine.together.catalog import CatalogRoutes
from lorry.engine.together.downloads import Downloads
from lorry.engine.together.records import Shelves
from lorry.engine.together.revision_lists import RevisionLists
from lorry.engine.together.rollouts import Rollouts
from lorry.engine.together.uploads import Uploads
from lorry.engine.together.validation import Check
from lorry.engine.works import Works

#: What answers at Together's addresses, in the order in which an address is looked up.
ROUTERS: tuple[Callable[[Services], APIRouter], ...] = (
    lambda its: identity.router(its.works.config),
    lambda its: CatalogRoutes(its.works, its.capacity).router(),
    # `models/upload…` has to be found before `models/{id}`.
    lambda its: Uploads(its.works, its.shelves, its.models, its.revisions).router(),
    lambda its: its.remote_uploads.router(),
    lambda its: Downloads(its.works, its.shelves, its.models, its.revisions).router(),
    lambda its: its.models.router(),
    lambda its: RevisionLists(its.works.config, its.models, its.revisions, its.remote_uploads).router(),
    lambda its: its.endpoints.router(),
    lambda its: Analytics(its.works, its.shelves, its.endpoints).router(),
    lambda its: its.deployments.router(),
    lambda its: Rollouts(its.works, its.shelves, its.rolling).router(),
    lambda its: its.experiments.router(),
    lambda its: its.shadows.router(),
    lambda its: Adapters(its.works, its.shelves, its.models, its.pins, its.loading, its.attaching).router(),
    lambda its: Images(
        its.works, its.shelves, its.targets, its.loras, its.serving, its.album, its.mirrors, its.previews
    ).router(),
    lambda its: previews.router(its.works.config, its.previews),
    lambda its: Chat(its.works, its.targets, its.answering, its.mirrors).router(),
    lambda its: Completions(its.works, its.targets, its.answering, its.mirrors).router(),
    lambda its: inference_models.router(its.works),
    lambda its: LegacyUploads(its.works, its.shelves, its.models, its.remote_uploads, its.revisions).router(),
    lambda its: LegacyEndpoints(
        its.works, its.shelves, its.models, its.endpoints, its.deployments, its.lifecycle, its.capacity
    ).router(),
    lambda its: its.album.router(),
    lambda its: figures.router(its.works.config, its.serving),
    containers.router,
    lambda its: Control(its.works, its.shelves, its.faults, its.deployments).router(),
)


@dataclass(frozen=True, slots=True)
class Engine:
    """A built engine: the application, and what a test or the server needs to reach inside it."""

    app: FastAPI
    works: Works
    shelves: Shelves
    serving: ImageServing
    language: LanguageServing
    repositories: Storage


def build(works: Works, drawing: ImageServing, check: Check, open_language: OpenLanguage) -> Engine:
    """Put an engine together; nothing listens and nothing is loaded yet.

    Args:
        works: Its state and time; closed with the application.
        drawing: What it draws with; closed with the application.
        check: Validates uploaded files for a base model.
        open_language: Opens what it answers in words with, when it is first needed.
    """
    its = assemble(works, drawing, LanguageServing(open_language), check)
    app = FastAPI(
        title="Lorry engine",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(its),
    )
    api_errors.install(app)
    app.add_middleware(Faulty, faults=its.faults, doom=Dooms(its.shelves, its.lifecycle))
    for make in ROUTERS:
        app.include_router(make(its))
    app.add_api_route("/health", _health, methods=["GET"], response_model=None)
    # Last, for the addresses of repositories (`/owner/name/…`) would hide the others.
    app.include_router(hub.router(its.repositories))
    return Engine(app, works, its.shelves, its.serving, its.language, its.repositories)


async def _health() -> dict[str, str]:
    """Say that it answers; no key is needed."""
    return {"status": "ok"}


def _lifespan(its: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        its.language.close()
        its.serving.close()
        its.works.close()

    return lifespan
