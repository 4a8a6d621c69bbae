"""An engine for tests: in a thread, on a free loopback port, with a clock turned by hand.

    with running_engine(tmp_path) as engine:
        client = Together(base_url=engine.url, api_key="any", project_id=engine.project)

Nothing in it sleeps or needs the network; with the `FlatRenderer` no weights are read and no graph is run.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lorry.engine.app import Engine, build
from lorry.engine.clock import Clock, ManualClock
from lorry.engine.config import EngineConfig
from lorry.engine.inference.images import NATIVE_SIZE
from lorry.engine.pace import Pace
from lorry.engine.renderers.base import matching_layers
from lorry.engine.renderers.port import LoadedAdapter, Picture, Renderer, RenderRequest
from lorry.engine.server import AnnouncingServer, bind, check_weights
from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.revisions import Check
from lorry.engine.works import open_works
from lorry.errors import AdapterUnusable

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
    pace: Pace | None = None,
    clock: Clock | None = None,
    api_key: str | None = None,
    check: Check = check_weights,
) -> Iterator[RunningEngine]:
    """Run an engine for the length of a block; the same home again finds everything as it was.

    Args:
        home: Lorry's home.
        renderer: What it draws with; a `FlatRenderer` when omitted.
        pace: How quickly its slow things get on; at once when omitted.
        clock: Its time; a `ManualClock` when omitted.
        api_key: The only key it takes; any when omitted.
        check: Validates uploaded files; the real check when omitted.

    Yields:
        The engine, once it answers.
    """
    chosen = renderer or FlatRenderer()
    time = clock or ManualClock()
    config = EngineConfig(home, api_key=api_key, pace=pace or Pace.at_once())
    listener = bind("127.0.0.1", 0)
    try:
        engine = build(open_works(config, time), lambda: chosen, check)
        with _answering(engine, listener):
            yield RunningEngine(f"http://127.0.0.1:{listener.getsockname()[1]}", engine, time)
    finally:
        listener.close()


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


class FlatRenderer:
    """Draws pictures of one colour each, which follows from the request alone.

    An adapter whose `lora_B` tensors are all zero changes nothing, every other one moves the colour by 128
    levels at scale 1: what a test of the proof needs.

    Args:
        modules: What `load` says that it injected; what the file really has when omitted.
    """

    name = "flat"

    def __init__(self, modules: int | None = None) -> None:
        self._modules = modules
        self._strength: dict[str, float] = {}

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Read an adapter's names; see the port."""
        header, data = _read(path)
        layers = matching_layers(list(header))
        self._strength[key] = float(any(_acts(name, entry, data) for name, entry in header.items()))
        found = len(layers) if self._modules is None else self._modules
        ranks = [entry["shape"][0] for name, entry in header.items() if name.endswith("lora_A.weight")]
        return LoadedAdapter(key, found, max(ranks, default=0))

    def unload(self, key: str) -> None:
        """Forget an adapter; see the port."""
        self._strength.pop(key, None)

    def render(self, requests: Sequence[RenderRequest]) -> list[Picture]:
        """Draw one colour per request; see the port."""
        return [self._draw(request) for request in requests]

    def _draw(self, request: RenderRequest) -> Picture:
        seed = f"{request.prompt}|{request.seed}|{request.steps}|{request.guidance}|{request.negative_prompt}"
        colour = np.frombuffer(hashlib.sha256(seed.encode()).digest()[:3], np.uint8).astype(np.float64)
        for use in request.adapters:
            if use.key not in self._strength:
                raise AdapterUnusable(f"The adapter {use.key} is not loaded.")
            colour += 128 * use.scale * self._strength[use.key]
        return np.broadcast_to(np.round(colour).astype(np.int64) % 256, (NATIVE_SIZE, NATIVE_SIZE, 3)).astype(
            np.uint8
        )


def _read(path: Path) -> tuple[dict[str, dict[str, list[int]]], bytes]:
    content = path.read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
    except (struct.error, ValueError) as error:
        raise AdapterUnusable(f"{path.name} is no safetensors file.") from error
    header.pop("__metadata__", None)
    return header, content[8 + length :]


def _acts(name: str, entry: dict[str, list[int]], data: bytes) -> bool:
    begin, end = entry["data_offsets"]
    # Without the sign bit: minus zero is zero too.
    return name.endswith("lora_B.weight") and bool((np.frombuffer(data[begin:end], np.uint8) & 0x7F).any())
