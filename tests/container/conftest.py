"""A worker over the embedded base, answering HTTP on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from lorry.container.bench import Bench
from lorry.container.cache import Cache
from lorry.container.desk import Desk
from lorry.container.loras import Loras, Places
from lorry.container.web import application
from lorry.container.worker import Store, Worker
from lorry.engine.renderers import open_renderer
from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.bench import RendererBench
from lorry.engine.renderers.port import Renderer
from lorry.weights.origins.access import Access

EXAMPLES = Path(__file__).parents[2] / "examples"
TOK = EXAMPLES / "tok"

#: Makes a worker over the embedded base.
MakeWorker = Callable[..., Worker]


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """Open the embedded base once."""
    return open_renderer("onnx", threads=1)


@pytest.fixture
def make_worker(renderer: Renderer, tmp_path: Path) -> MakeWorker:
    """Give a maker of workers that are not set up yet."""

    def make(
        *,
        places: Places | None = None,
        access: Access | None = None,
        store: Store | None = None,
        bench: Bench | None = None,
    ) -> Worker:
        cache = Cache(tmp_path / "cache")

        def open_loras(base: str) -> Loras:
            return Loras(base, places or Places(adapters=EXAMPLES), cache, access or Access())

        return Worker(lambda: bench or RendererBench(base_model().id, renderer), open_loras, store)

    return make


@asynccontextmanager
async def answering(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application, with its lifespan, on a free loopback port; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))  # takes connections before the server looks at them
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", ws="none", log_level="warning"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def worker_at(
    make_worker: MakeWorker,
) -> Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]:
    """Give what runs a worker for a block, and a client of it."""

    @asynccontextmanager
    async def run(**options: object) -> AsyncIterator[httpx.AsyncClient]:
        desk = Desk(make_worker(**options))
        async with answering(application(desk)) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client

    return run
