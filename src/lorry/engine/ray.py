"""Drawing on many machines: replicas on Ray Serve behind one engine (extra `ray`).

The engine keeps everything that is remembered, and its address; only drawing is elsewhere. A request goes to
a replica that has its adapter already (Serve's model multiplexing, the adapter's key being the model's id).
A picture follows from its request alone, so one whose replica was lost is drawn again by another.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import subprocess
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from starlette.concurrency import run_in_threadpool

from lorry.engine.drawing.figures import ReplicaFigures
from lorry.engine.drawing.patience import MOST_WAITING
from lorry.engine.drawing.port import Needed, Watch
from lorry.engine.drawing.replica import Answer, Replica, Shipped
from lorry.engine.drawing.room import Room
from lorry.engine.renderers.port import Canvas, LoadedAdapter, Picture, Renderer, RenderRequest
from lorry.errors import EngineBusy, EngineError, error_from

#: Requests that a replica has at once: a batch being drawn, and the next ones loading their adapters.
AT_ONCE = 24

#: Adapters that Serve remembers each replica to have; what fits into memory is the replica's own matter.
REMEMBERED = 512

#: Times that a request is sent: each of the others was lost with its replica.
TRIES = 8

#: Bytes of adapters that are kept ready to be sent.
_READY = 2 << 30

_FIRST_CHANCE, _LAST_CHANCE = 0.05, 5.0

#: Seconds that each of Ray's own processes may take to end.
_ENDING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """How drawing is spread.

    Attributes:
        least: Replicas that run at least.
        most: Replicas that run at most; Serve begins and ends those between by what is asked.
        threads: Processors of each; shared out evenly when `None`.
        shared_disk: Whether replicas may look for files where the engine has them.
    """

    least: int = 1
    most: int = 1
    threads: int | None = None
    shared_disk: bool = True


class RayServing:
    """Replicas that draw.

    Args:
        name: Of the application in the cluster; one for each engine.
        open_renderer: Opens what a replica draws with; has to travel to other machines.
        fleet: How many replicas.
        room: How much memory adapters may take in each.

    Raises:
        EngineError: There is no cluster, and none can be begun here; or no replica began.
    """

    def __init__(
        self, name: str, open_renderer: Callable[[], Renderer], fleet: Fleet, room: Room | None = None
    ) -> None:
        self.name = f"lorry-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        self._closed = False
        self._own = _join()
        self._handle: Any = _deployed(self.name, open_renderer, fleet, room or Room())
        self._canvas: Canvas | None = None
        self._kept: dict[str, LoadedAdapter] = {}
        self._parcels = _Parcels()
        self._figures = ReplicaFigures()

    def warm_up(self) -> None:
        """Do nothing: replicas open what they draw with as they begin; see the port."""

    def close(self) -> None:
        """End the replicas, and the cluster where it was begun for this engine; see the port."""
        closed, self._closed = self._closed, True
        if self._own:
            _end_cluster()
        elif not closed:
            serve.delete(self.name, _blocking=False)

    @property
    def canvas(self) -> Canvas:
        """Which pictures the replicas draw; see the port."""
        if self._canvas is None:
            told = _waited(self._handle.canvas.remote())
            if not isinstance(told, Canvas):
                raise error_from(told)
            self._canvas = told
        return self._canvas

    def keep(self, needed: Needed) -> LoadedAdapter:
        """Load a deployed adapter where its first request will go; see the port."""
        if needed.key not in self._kept:
            self._kept[needed.key] = self.visit(needed)
        return self._kept[needed.key]

    def release(self, key: str) -> None:
        """Let go of an adapter; in the replicas it makes room for others when these come. See the port."""
        self._kept.pop(key, None)
        self._parcels.forget(key)

    def visit(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter in one of the replicas; see the port."""
        with ThreadPoolExecutor(1) as outside:  # whoever calls may have a loop of their own
            answer = outside.submit(asyncio.run, self._loaded(needed)).result()
        assert answer.loaded is not None, "a replica loads or says why not"  # noqa: S101
        return answer.loaded

    def loaded(self) -> frozenset[str]:
        """Name the deployed adapters; see the port."""
        return frozenset(self._kept)

    def metrics(self) -> bytes:
        """Give how the pictures were spread, and what one of the replicas measured; see the port."""
        return self._figures.text() + bytes(_waited(self._handle.metrics.remote()))

    async def render(
        self,
        requests: Sequence[RenderRequest],
        needed: Sequence[Needed] = (),
        watch: Watch | None = None,  # noqa: ARG002 - nobody asks for it of replicas
    ) -> list[Picture]:
        """Draw pictures on a replica that has the adapters; see the port. Steps can't be watched."""
        shipped = [Shipped(each.key, str(each.path)) for each in needed]
        answer = await self._asked(
            lambda sent: self._at(needed).draw.remote(list(requests), sent), shipped, needed
        )
        self._figures.pictures.labels(answer.replica).inc(len(answer.pictures))
        return answer.pictures

    async def _loaded(self, needed: Needed) -> Answer:
        shipped = [Shipped(needed.key, str(needed.path))]
        return await self._asked(lambda sent: self._at([needed]).load.remote(sent[0]), shipped, [needed])

    def _at(self, needed: Sequence[Needed]) -> Any:
        """Give the handle that goes to a replica with the first of the adapters."""
        return self._handle.options(multiplexed_model_id=needed[0].key) if needed else self._handle

    async def _asked(
        self, ask: Callable[[list[Shipped]], Any], shipped: list[Shipped], needed: Sequence[Needed]
    ) -> Answer:
        """Ask a replica, and another when that one is lost; send files along when it can't see them."""
        wait = _FIRST_CHANCE
        for _ in range(TRIES):
            if self._closed:  # asking would begin another cluster
                break
            try:
                answer: Answer = await _awaited(ask(shipped))
            except BackPressureError as error:
                evidence = {"waiting": MOST_WAITING, "retry_after": 2.0}
                raise EngineBusy("Too many requests wait for the replicas.", evidence=evidence) from error
            except (RayError, RayServeException):
                self._figures.again.inc()
                await asyncio.sleep(wait)  # until Serve has noticed
                wait = min(_LAST_CHANCE, 2 * wait)
                continue
            if answer.error is not None:
                raise error_from(answer.error)
            if not answer.missing:
                return answer
            shipped = [
                replace(each, content=[await run_in_threadpool(self._parcels.of, found)])
                for each, found in zip(shipped, needed, strict=True)
            ]
        raise EngineError(
            f"No replica answered in {TRIES} tries.",
            fix="See `ray status` and Serve's logs, then ask again.",
            evidence={"application": self.name},
        )


class _Parcels:
    """Files of adapters in Ray's store, for replicas on other machines; the least recently sent go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def of(self, needed: Needed) -> Any:
        """Put a file there, once."""
        with self._lock:
            if needed.key not in self._sent:
                content = needed.path.read_bytes()
                self._sent[needed.key] = ray.put(content), len(content)
            self._sent.move_to_end(needed.key)
            while sum(size for _, size in self._sent.values()) > _READY and len(self._sent) > 1:
                self._sent.popitem(last=False)
            return self._sent[needed.key][0]

    def forget(self, key: str) -> None:
        """Let go of a file."""
        with self._lock:
            self._sent.pop(key, None)


class _Resident:
    """That a replica has an adapter, as Serve remembers it."""


class _OnReplica:
    """What runs in each replica."""

    def __init__(self, open_renderer: Callable[[], Renderer], room: Room, *, shared: bool) -> None:
        from lorry.engine.drawing.serving import Serving

        name = serve.get_replica_context().replica_id.unique_id
        self._folder = tempfile.TemporaryDirectory(prefix="lorry-replica-")
        serving = Serving(open_renderer, room)
        serving.warm_up()
        self._replica = Replica(name, serving, Path(self._folder.name), room.disk, _fetched, shared=shared)

    @serve.multiplexed(max_num_models_per_replica=REMEMBERED)  # type: ignore[untyped-decorator]
    async def resident(self, _key: str) -> _Resident:
        """Have Serve remember that an adapter is here."""
        return _Resident()

    async def draw(self, requests: list[RenderRequest], shipped: list[Shipped]) -> Answer:
        """Draw; see `Replica`."""
        await self._remember()
        return await self._replica.draw(requests, shipped)

    async def load(self, shipped: Shipped) -> Answer:
        """Load; see `Replica`."""
        await self._remember()
        return await self._replica.load(shipped)

    async def canvas(self) -> Any:
        """Say which pictures are drawn; see `Replica`."""
        return await self._replica.canvas()

    async def metrics(self) -> bytes:
        """Give what was measured; see `Replica`."""
        return self._replica.metrics()

    async def process(self) -> int:
        """Say which process this is."""
        return os.getpid()

    async def _remember(self) -> None:
        if key := serve.get_multiplexed_model_id():
            await self.resident(key)


async def _fetched(content: Any) -> bytes:
    found: bytes = await content[0]
    return found


def _join() -> bool:
    """Join the cluster that RAY_ADDRESS names, or begin one here; say whether it was begun here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    if ray.is_initialized():
        return False
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, namespace="lorry")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise EngineError(
            f"Ray can't be reached or begun: {str(error)[:300]}",
            fix="Leave RAY_ADDRESS out to begin Ray on this machine, or set it to a cluster that runs.",
            evidence={"address": os.environ.get("RAY_ADDRESS")},
        ) from error
    return "RAY_ADDRESS" not in os.environ


def _end_cluster() -> None:
    """End the cluster that was begun here, and wait for its processes.

    Ray kills them and lets go of them while they are still ending; Python then remarks on each in whatever is
    being done at that time. Which they are, Ray tells nobody but itself.
    """
    node = getattr(ray._private.worker, "_global_node", None)
    groups = getattr(node, "all_processes", {}).values()
    processes = [info.process for group in groups for info in group]
    ray.shutdown()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)


def _deployed(name: str, open_renderer: Callable[[], Renderer], fleet: Fleet, room: Room) -> Any:
    """Begin the replicas, and give the handle that reaches them."""
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    share = resources.get("CPU", 1.0) / max(1, fleet.most)
    options: dict[str, Any] = {"num_cpus": fleet.threads or max(0.1, min(1.0, share))}
    if resources.get("GPU"):
        options["num_gpus"] = 1
    deployment: Any = serve.deployment(
        _OnReplica,
        name="renderer",
        ray_actor_options=options,
        max_ongoing_requests=AT_ONCE,
        max_queued_requests=MOST_WAITING,
        autoscaling_config={
            "min_replicas": fleet.least,
            "max_replicas": fleet.most,
            "initial_replicas": fleet.least,
            "target_ongoing_requests": AT_ONCE / 3,  # a batch
            "upscale_delay_s": 10,
            "downscale_delay_s": 300,  # a replica opens its base, which may take minutes
        },
        health_check_period_s=2,
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=120,
    )
    try:
        return serve.run(
            deployment.bind(open_renderer, room, shared=fleet.shared_disk),
            name=name,
            route_prefix=None,
        )
    except RuntimeError as error:
        raise EngineError(
            f"The replicas did not begin: {str(error)[:300]}",
            fix="See `ray status`: a replica may want more processors or GPUs than there are.",
            evidence={"replicas": [fleet.least, fleet.most], "each": options},
        ) from error


async def _awaited(response: Any) -> Any:
    """Wait for a replica; whoever goes away calls it off there too."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise


def _waited(response: Any) -> Any:
    with ThreadPoolExecutor(1) as outside:
        return outside.submit(response.result).result()
