"""The engine's own workers: a container whose image is ours is served by the worker itself, in this process.

The worker is the one that runs in a real container (`lorry.container`): the same loop pulls jobs, the same
application answers HTTP. Only what draws is the engine's renderer, and no network lies before the queue.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from lorry.container.bench import Drawing
from lorry.container.cache import Cache
from lorry.container.claimed import CLAIM, Job
from lorry.container.desk import Desk
from lorry.container.loras import Loras, Places
from lorry.container.web import application
from lorry.container.worker import Worker
from lorry.engine.api_errors import Refusal
from lorry.engine.containers.bell import Bell
from lorry.engine.containers.jobs import Jobs
from lorry.engine.drawing.port import ImageServing, Needed
from lorry.engine.renderers.bench import drawn_by
from lorry.engine.renderers.port import Picture, RenderRequest
from lorry.errors import OptionInvalid
from lorry.weights.origins.access import Access

#: The last part of an image's name, without tag and digest, that is served here.
OURS = re.compile(r"lorry-worker[a-z0-9._-]*")

_HOST = "the engine"


@dataclass(frozen=True, slots=True)
class Posting:
    """What a worker of the engine is told.

    Attributes:
        container: Id of the container.
        queue: Name of the deployment.
        environment: Variables, with the values of secrets.
        mounts: Folders by the path at which the container sees them.
        own_hub: Address of this engine's Hub, the only private one that may be asked.
    """

    container: str
    queue: str
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    own_hub: str


@dataclass(slots=True)
class _Hand:
    """One worker at work."""

    app: Starlette
    desk: Desk
    pulling: asyncio.Task[None] | None = None


class Crew:
    """The workers of one engine.

    Args:
        base: Public id of what it draws with.
        serving: What draws.
        jobs: The queues.
        bell: Rings when a queue has something new.
        store: Stores a file under a name.
        log: Writes a line into a container's logs.
        folder: Where fetched LoRAs are kept.
    """

    def __init__(
        self,
        base: str,
        serving: ImageServing,
        jobs: Jobs,
        bell: Bell,
        store: Callable[[str, bytes], None],
        log: Callable[[str, str], None],
        folder: Path,
    ) -> None:
        self._base = base
        self._serving = serving
        self._jobs = jobs
        self._bell = bell
        self._store = store
        self._log = log
        self._folder = folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hands: dict[str, _Hand] = {}

    def open(self) -> None:
        """Begin, on the event loop of the server."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let every worker finish its job, and end."""
        hands, self._hands = list(self._hands.values()), {}
        for hand in hands:
            await self._end(hand)

    def start(self, posting: Posting) -> None:
        """Have a worker work for a container.

        Raises:
            OptionInvalid: It is told to draw with a base that is not here.
        """
        worker = self._worker(posting)
        worker.setup()
        hand = _Hand(app=application(desk := Desk(worker)), desk=desk)
        desk.healthy = True
        self._hands[posting.container] = hand
        self._log(posting.container, f"ready with {self._base}")
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin, posting, hand)

    def stop(self, container: str) -> None:
        """End the worker of a container, after the job at hand; a container without one is fine."""
        hand = self._hands.pop(container, None)
        if self._loop is not None and hand is not None:
            asyncio.run_coroutine_threadsafe(self._end(hand), self._loop)

    def app(self, container: str) -> Starlette | None:
        """Give the HTTP application of a container's worker."""
        hand = self._hands.get(container)
        return hand.app if hand else None

    def _worker(self, posting: Posting) -> Worker:
        base = posting.environment.get("LORRY_BASE", "")
        if base != self._base:
            raise OptionInvalid(
                f"This engine has no weights of {base or 'a base that LORRY_BASE names'}; "
                f"it draws with {self._base}.",
                evidence={"base": base},
            )
        adapters = posting.environment.get("LORRY_ADAPTERS", "")
        places = Places(posting.mounts.get(adapters), posting.mounts)
        # What may be asked does not follow the container's variables: whoever reaches the engine sets those.
        asked = posting.environment.get("LORRY_HUB_URL", "").rstrip("/")
        access = Access(hub_url=posting.own_hub) if asked == posting.own_hub else Access()

        def store(name: str, data: bytes) -> str:
            self._store(name, data)
            return f"{posting.own_hub}/v1/storage/{name}"

        return Worker(
            lambda: ServingBench(base, self._serving),
            lambda base: Loras(base, places, Cache(self._folder), access),
            store,
        )

    def _begin(self, posting: Posting, hand: _Hand) -> None:
        # Not before there is a container: its HTTP client takes a tenth of the engine's time to begin.
        from lorry.container.pulling import pull

        queue = _OwnQueue(self._jobs, self._bell, posting, self._log)
        hand.pulling = asyncio.ensure_future(pull(hand.desk, queue))

    async def _end(self, hand: _Hand) -> None:
        hand.desk.stopping = True
        self._bell.ring()  # who waits for a job looks up and sees that it is to stop
        if hand.pulling is not None:
            await hand.pulling
        await hand.desk.close(grace=1)


class _OwnQueue:
    """A queue inside the engine, for the loop that pulls."""

    claim = CLAIM

    def __init__(self, jobs: Jobs, bell: Bell, posting: Posting, log: Callable[[str, str], None]) -> None:
        self._jobs = jobs
        self._bell = bell
        self._posting = posting
        self._log = log

    async def retrieve(self) -> Job | None:
        rung = self._bell.rung
        found = await run_in_threadpool(self._claimed)
        if found is None:
            await self._bell.after(rung)
        return found

    def _claimed(self) -> Job | None:
        queue = self._posting.queue
        if self._jobs.puller(queue) is not None:
            return None  # a worker outside has come to work on it
        job = self._jobs.claim(queue, _HOST, self.claim)
        return None if job is None else Job(job.id, job.payload)

    async def report(
        self,
        job: str,
        status: str,
        outputs: Mapping[str, Any] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> bool:
        try:
            await run_in_threadpool(
                self._jobs.report, self._posting.queue, job, status, outputs or {}, info or {}
            )
        except Refusal as refused:
            await run_in_threadpool(self._log, self._posting.container, f"job {job}: {refused.message}")
            return False
        error = (info or {}).get("error", {}).get("code", "")
        line = f"job {job} {status}{': ' + error if error else ''}"
        await run_in_threadpool(self._log, self._posting.container, line)
        return True


class ServingBench:
    """The engine's renderer as a worker's bench, sharing its line and its adapters with everybody else."""

    def __init__(self, base: str, serving: ImageServing) -> None:
        self.base = base
        self._serving = serving
        self._files: dict[str, Path] = {}

    @property
    def largest(self) -> int:
        """The longest edge of a picture; see the port."""
        return self._serving.canvas.largest

    @property
    def multiple(self) -> int:
        """What edges are multiples of; see the port."""
        return self._serving.canvas.multiple

    def load(self, digest: str, path: Path) -> int:
        """Load a LoRA for a while; see the port."""
        self._files[digest] = path
        return self._serving.visit(Needed(digest, path)).modules

    def draw(self, drawings: Sequence[Drawing]) -> list[Picture]:
        """Draw when the turn comes; see the port."""
        digests = {use.digest for drawing in drawings for use in drawing.uses}
        needed = [Needed(digest, self._files[digest]) for digest in sorted(digests)]

        def render(requests: Sequence[RenderRequest]) -> list[Picture]:
            return asyncio.run(self._serving.render(requests, needed))  # in a thread of its own, with no loop

        return drawn_by(render, self.base, self._serving.canvas, drawings)

    def close(self) -> None:
        """Let go of nothing: the renderer is the engine's, and visitors leave by themselves."""
