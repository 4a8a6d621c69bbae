"""The engine's one renderer: opened when it is first needed, fed with batches of whatever waits.

Drawing and loading take the processor for as long as they last, so they share one lock, and drawing happens
in one worker thread and never on the event loop. What comes meanwhile waits, and is drawn together with
everything of its shape, also of other models (`lorry.engine.drawing`). Nothing waits for company.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lorry.engine.drawing import Waiting, choose, shape_of, whose
from lorry.engine.renderers.port import LoadedAdapter, Picture, Renderer, RenderRequest
from lorry.errors import AdapterUnusable, EngineBusy

#: Adapters that stay loaded without being deployed, the least recently used leaving first.
VISITORS = 8

#: Pictures that wait at the most; what comes beyond is told when to come again.
MOST_WAITING = 256

#: Models whose last turn is remembered.
_MODELS = 10_000


@dataclass(frozen=True, slots=True)
class Needed:
    """An adapter that a request draws with: the key it is loaded under, and its file."""

    key: str
    path: Path


@dataclass(eq=False, slots=True)
class _Job:
    """The pictures of one request.

    Attributes:
        requests: What to draw.
        needed: Adapters that must be loaded for it.
        answer: Its pictures.
        drawn: Those that are drawn already, by number.
    """

    requests: tuple[RenderRequest, ...]
    needed: tuple[Needed, ...]
    answer: Future[list[Picture]]
    drawn: dict[int, Picture] = field(default_factory=dict)


class Serving:
    """The renderer and the adapters that are loaded in it.

    Args:
        open_renderer: Opens the renderer; called once, when it is first needed.
    """

    def __init__(self, open_renderer: Callable[[], Renderer]) -> None:
        self._open = open_renderer
        self._lock = threading.RLock()
        self._renderer: Renderer | None = None
        self._residents: dict[str, LoadedAdapter] = {}
        self._visitors: OrderedDict[str, LoadedAdapter] = OrderedDict()
        self._line = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lorry-render")
        self._waiting_lock = threading.Lock()
        self._jobs: list[_Job] = []
        self._served: dict[str, int] = {}
        self._turn = itertools.count()
        self._seconds = 0.1  # that a picture takes, as it went lately

    def warm_up(self) -> None:
        """Open the renderer in the background, so that the first request need not wait for it.

        What goes wrong then goes wrong again, and is reported, when a request needs it.
        """
        self._line.submit(self._ready)

    def close(self) -> None:
        """Wait for the batch that is being drawn and take no other."""
        self._line.shutdown(wait=True, cancel_futures=True)
        for job in self._jobs:
            job.answer.cancel()

    def keep(self, needed: Needed) -> LoadedAdapter:
        """Load a deployed adapter and keep it until `release`.

        Raises:
            LorryError: The renderer can't be opened, or can't take the adapter.
        """
        # Not behind the lock: what is loaded need not wait for a picture that is being drawn.
        if resident := self._residents.get(needed.key):
            return resident
        with self._lock:
            if needed.key not in self._residents:
                loaded = self._visitors.pop(needed.key, None)
                self._residents[needed.key] = loaded or self._ready().load(needed.key, needed.path)
            return self._residents[needed.key]

    def release(self, key: str) -> None:
        """Unload an adapter; one that is not loaded is fine."""
        with self._lock:
            known = self._residents.pop(key, None) or self._visitors.pop(key, None)
            if known and self._renderer:
                self._renderer.unload(key)

    def loaded(self) -> frozenset[str]:
        """Name the adapters that are loaded now."""
        with self._lock:
            return frozenset(self._residents) | frozenset(self._visitors)

    def visit(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter for one request; it stays for a while in case it comes again."""
        with self._lock:
            if needed.key in self._residents:
                return self._residents[needed.key]
            if needed.key not in self._visitors:
                self._visitors[needed.key] = self._ready().load(needed.key, needed.path)
            self._visitors.move_to_end(needed.key)
            return self._visitors[needed.key]

    async def render(self, requests: Sequence[RenderRequest], needed: Sequence[Needed] = ()) -> list[Picture]:
        """Draw pictures when their turn comes; called off, they are not drawn, or no further.

        Args:
            requests: What to draw.
            needed: Adapters that must be loaded for it.

        Raises:
            EngineBusy: Too much waits already.
            LorryError: The renderer can't be opened, or can't take an adapter.
        """
        job = _Job(tuple(requests), tuple(needed), Future())
        with self._waiting_lock:
            waiting = sum(len(each.requests) for each in self._jobs if not each.answer.done())
            if waiting and waiting + len(requests) > MOST_WAITING:
                raise EngineBusy(
                    f"{waiting} pictures wait to be drawn.",
                    evidence={"waiting": waiting, "retry_after": self._pace(waiting)},
                )
            self._jobs.append(job)
        self._line.submit(self._draw_next)
        return await asyncio.wrap_future(job.answer)

    def _pace(self, waiting: int) -> float:
        """Say in how many seconds half of what waits will be drawn."""
        return round(max(1.0, waiting / 2 * self._seconds), 1)

    def _draw_next(self) -> None:
        """Draw one batch of what waits; come again while anything does."""
        batch = self._batch()
        if not batch:
            return
        self._let_go()
        began = time.monotonic()
        if self._drawn(batch):
            self._seconds += 0.2 * ((time.monotonic() - began) / len(batch) - self._seconds)
        elif len(jobs := list({id(job): job for job, _ in batch}.values())) > 1:
            for job in jobs:  # what one of them can't have must not cost the others theirs
                self._drawn([(each, number) for each, number in batch if each is job])
        with self._waiting_lock:
            if self._jobs:
                self._line.submit(self._draw_next)

    def _drawn(self, batch: Sequence[tuple[_Job, int]]) -> bool:
        """Draw a batch; say whether that went well. What went wrong is told where only one job is in it."""
        jobs = {id(job): job for job, _ in batch}.values()

        def abandoned() -> bool:
            return all(job.answer.cancelled() for job in jobs)

        try:
            with self._lock:
                pictures = self._ready().render([job.requests[number] for job, number in batch], abandoned)
        except BaseException as error:  # noqa: BLE001 - whoever asked learns of it, and the line goes on
            if len(jobs) == 1:
                self._end(next(iter(jobs)), error)
            return False
        for (job, number), picture in zip(batch, pictures, strict=True):
            job.drawn[number] = picture
            if len(job.drawn) == len(job.requests):
                self._end(job, None)
        return True

    def _batch(self) -> list[tuple[_Job, int]]:
        """Choose what is drawn next, and load its adapters; jobs whose adapters fail leave."""
        while True:
            with self._waiting_lock:
                self._jobs = [job for job in self._jobs if not job.answer.done()]
                waiting = [
                    Waiting((job, number), whose(request), shape_of(request))
                    for job in self._jobs
                    for number, request in enumerate(job.requests)
                    if number not in job.drawn
                ]
                chosen = choose(waiting, self._served)
                batch = [cast("tuple[_Job, int]", each.place) for each in chosen]
            if all(self._loaded_for(job) for job in {id(job): job for job, _ in batch}.values()):
                break
        if len(self._served) > _MODELS:
            self._served.clear()
        for job, number in batch:
            self._served[whose(job.requests[number])] = next(self._turn)
        return batch

    def _loaded_for(self, job: _Job) -> bool:
        """Load the adapters of a job; tell it where that fails."""
        try:
            for adapter in job.needed:
                _require_effect(adapter, self.visit(adapter))
        except BaseException as error:  # noqa: BLE001 - it is that job's alone
            self._end(job, error)
            return False
        return True

    def _end(self, job: _Job, error: BaseException | None) -> None:
        """Give a job its pictures, or what went wrong; whoever called off hears nothing."""
        with contextlib.suppress(InvalidStateError):
            if error is not None:
                job.answer.set_exception(error)
            else:
                job.answer.set_result([job.drawn[number] for number in range(len(job.requests))])

    def _let_go(self) -> None:
        """Unload the adapters of single requests beyond those that stay for a while."""
        with self._lock, self._waiting_lock:
            wanted = {each.key for job in self._jobs for each in job.needed}
            for key in [key for key in self._visitors if key not in wanted]:
                if len(self._visitors) <= VISITORS:
                    break
                del self._visitors[key]
                self._ready().unload(key)

    def _ready(self) -> Renderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = self._open()
            return self._renderer


def _require_effect(needed: Needed, loaded: LoadedAdapter) -> None:
    if loaded.modules == 0:
        raise AdapterUnusable(f"{needed.path.name} fits no layer of the base model.")
