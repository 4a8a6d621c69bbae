"""Run a worker as a process: open the base, answer HTTP, pull from the queue, end in order."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from lorry.container.bench import Bench
from lorry.container.cache import Cache
from lorry.container.desk import Desk
from lorry.container.loras import Loras, Places
from lorry.container.pulling import pull
from lorry.container.remote import JobQueue, Storage
from lorry.container.settings import WorkerSettings, read_worker_settings
from lorry.container.web import application
from lorry.container.worker import Worker
from lorry.errors import LorryError, SettingInvalid
from lorry.listening import IDLE_SECONDS

_log = logging.getLogger(__name__)

#: Opens the base model that the settings name.
OpenBench = Callable[[WorkerSettings], Bench]


def run(open_bench: OpenBench, arguments: Sequence[str] | None = None) -> int:
    """Run the worker of this container until it is told to stop (SIGTERM).

    Args:
        open_bench: Opens what draws.
        arguments: `--queue` to pull jobs, `--port N`, `--host ADDRESS`; the process's own when omitted.

    Returns:
        The exit status: 0 when it was told to stop, 1 when it could not begin.
    """
    asked = _parsed(arguments)
    logging.basicConfig(
        level=logging.INFO, format="{levelname} {name}: {message}", style="{", stream=sys.stdout
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every look into an empty queue
    try:
        settings = read_worker_settings(os.environ)
        _require_queue(settings, asked)
        return _served(settings, open_bench, asked)
    except LorryError as error:
        print(f"error [{error.code}]: {error.message}\nnext: {error.fix}", flush=True)  # noqa: T201 - its log
        return 1


def worker(settings: WorkerSettings, open_bench: OpenBench) -> Worker:
    """Put a worker together; nothing is opened yet.

    Args:
        settings: What it was told.
        open_bench: Opens what draws.
    """
    places = Places(settings.adapters, {str(volume): volume for volume in settings.volumes})

    def open_loras(base: str) -> Loras:
        return Loras(base, places, Cache(settings.cache, settings.room), settings.access)

    store = Storage(settings.api_url, settings.api_key) if settings.api_key else None
    return Worker(lambda: open_bench(settings), open_loras, store)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draws jobs with a base model and LoRAs.")
    parser.add_argument("--queue", action="store_true", help="pull jobs from the platform's queue")
    parser.add_argument("--port", type=int, default=8000, help="port of its own HTTP (default 8000)")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen at")  # noqa: S104 - in a container
    return parser.parse_args(arguments)


def _require_queue(settings: WorkerSettings, asked: argparse.Namespace) -> None:
    wanted = {"TOGETHER_DEPLOYMENT_NAME": settings.name, "TOGETHER_API_KEY": settings.api_key}
    missing = [name for name, value in wanted.items() if not value]
    if asked.queue and missing:
        raise SettingInvalid(
            f"A worker that pulls jobs needs {' and '.join(missing)}; the platform sets them in a container.",
            fix="Set them when you run the worker yourself, or leave `--queue` out.",
            evidence={"missing": missing},
        )


def _served(settings: WorkerSettings, open_bench: OpenBench, asked: argparse.Namespace) -> int:
    failure: list[LorryError] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk: Desk = app.state.desk
        try:
            await desk.open()
        except LorryError as error:
            failure.append(error)
            raise
        queue = JobQueue(settings.api_url, settings.api_key, settings.name)
        async with queue:
            pulling = asyncio.create_task(pull(desk, queue)) if asked.queue else None
            _log.info("ready with %s at port %d", settings.base, asked.port)
            yield
            # The loop ends by itself after the job at hand; the desk then has nothing left to wait for.
            if pulling is not None:
                await asyncio.wait([pulling], timeout=settings.grace)
                pulling.cancel()
            await desk.close(settings.grace if pulling is None else 1)

    async def serve() -> None:
        desk = Desk(worker(settings, open_bench))
        app = application(desk, lifespan)
        app.state.desk = desk
        config = uvicorn.Config(
            app,
            asked.host,
            asked.port,
            log_level="warning",
            lifespan="on",
            timeout_keep_alive=IDLE_SECONDS,
        )
        await _Server(config, desk).serve()

    # uvicorn ends in order and then sends the signal again, to whoever listened before.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing)
    asyncio.run(serve())
    if failure:
        raise failure[0]
    return 0


def _nothing(_signal: int, _frame: FrameType | None) -> None:
    """Hear a signal that was acted on already."""


class _Server(uvicorn.Server):
    """A server that tells the desk at once when the process shall stop."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no new job from now on; see uvicorn."""
        self._desk.stopping = True
        super().handle_exit(sig, frame)
