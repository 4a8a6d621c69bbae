"""An engine for tests: in a thread, on a free loopback port, with a clock turned by hand.

    with running_engine(tmp_path) as engine:
        client = Together(base_url=engine.url, api_key="any", project_id=engine.project)

Nothing in it sleeps or needs the network; with the `FlatRenderer` no weights are read and no graph is run.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lorry.engine.app import Engine, build
from lorry.engine.clock import Clock, ManualClock
from lorry.engine.config import EngineConfig
from lorry.engine.drawing.room import Room
from lorry.engine.drawing.serving import Serving
from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.language.port import LanguageModel
from lorry.engine.pace import Pace
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.renderers.port import Renderer
from lorry.engine.server import AnnouncingServer, check_weights
from lorry.engine.together.bases import LOCAL, Catalog
from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.validation import Check
from lorry.engine.works import open_works
from lorry.listening import bind

__all__ = ["FlatLanguageModel", "FlatRenderer", "RunningEngine", "running_engine"]

_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine that answers.

    Attributes:
        url: Where, without a slash at the end.
        engine: Its application and everything inside it.
        clock: Its time.
        project: Id of its project.
    """

    url: str
    engine: Engine
    clock: Clock
    project: str = PROJECT_ID

    def advance(self, seconds: float) -> None:
        """Let time pass on its manual clock."""
        assert isinstance(self.clock, ManualClock), "this engine runs on another clock"  # noqa: S101
        self.clock.advance(seconds)

    def counts(self) -> dict[str, int]:
        """Count what it has: models, revisions, endpoints, deployments, repos."""
        documents = self.engine.works.documents
        kinds = ("model", "revision", "endpoint", "deployment")
        return {f"{kind}s": documents.count(kind) for kind in kinds} | {
            "repos": self.engine.repositories.count()
        }


@contextmanager
def running_engine(
    home: Path,
    *,
    renderer: Renderer | None = None,
    language: LanguageModel | None = None,
    hardware: str = LOCAL,
    v1: bool = False,
    pace: Pace | None = None,
    clock: Clock | None = None,
    api_key: str | None = None,
    check: Check = check_weights,
    catalog: Catalog | None = None,
    room: Room | None = None,
) -> Iterator[RunningEngine]:
    """Run an engine for the length of a block; the same home again finds everything as it was.

    Args:
        home: Lorry's home.
        renderer: What it draws with; a `FlatRenderer` when omitted.
        language: What it answers in words with, base and checkpoints alike; flat ones when omitted.
        hardware: The set of hardware that its catalog offers.
        v1: Whether endpoints of the first version can be made.
        pace: How quickly its slow things get on; at once when omitted.
        clock: Its time; a `ManualClock` when omitted.
        api_key: The only key it takes; any when omitted.
        check: Validates uploaded files; the real check when omitted.
        catalog: What it serves and on what; that of `hardware` when omitted.
        room: How much memory adapters may take; the defaults when omitted.

    Yields:
        The engine, once it answers.
    """
    chosen = renderer or FlatRenderer()
    time = clock or ManualClock()
    config = EngineConfig(home, api_key=api_key, pace=pace or Pace.at_once(), hardware=hardware, v1=v1)
    listener = bind("127.0.0.1", 0)
    try:
        works = open_works(config, time)
        engine = build(
            replace(works, catalog=catalog or works.catalog),
            Serving(lambda: chosen, room),
            check,
            lambda folder: language or _flat(folder),
        )
        with _answering(engine, listener):
            yield RunningEngine(f"http://127.0.0.1:{listener.getsockname()[1]}", engine, time)
    finally:
        listener.close()


def _flat(folder: Path | None) -> LanguageModel:
    return FlatLanguageModel(folder.name) if folder else FlatLanguageModel()


@contextmanager
def _answering(engine: Engine, listener: socket.socket) -> Iterator[None]:
    answering = threading.Event()
    server = AnnouncingServer(engine, answering.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="lorry-engine")
    thread.start()
    try:
        if not answering.wait(_START_SECONDS):
            raise TimeoutError(f"the engine did not answer within {_START_SECONDS} s")
        yield
    finally:
        server.should_exit = True
        thread.join()
