"""Drawing in this process: one renderer, opened when it is first needed, fed with whatever waits.

Drawing takes the processor, or the accelerator, for as long as it lasts: it happens in one worker thread
and never on the event loop (`hands`). The renderer asks for more whenever another picture could begin, and
gets those whose adapters are there, in turn (`turns`). Adapters come in threads of their own (`memory`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from lorry.engine.drawing.choosing import Waiting
from lorry.engine.drawing.figures import Figures
from lorry.engine.drawing.hands import Hands
from lorry.engine.drawing.jobs import Job, Line, Stage
from lorry.engine.drawing.memory import AdapterMemory
from lorry.engine.drawing.patience import Patience
from lorry.engine.drawing.port import Needed, Watch
from lorry.engine.drawing.room import Room
from lorry.engine.drawing.trouble import Trouble
from lorry.engine.drawing.turns import Turns
from lorry.engine.renderers.port import Canvas, LoadedAdapter, Look, Picture, Renderer, RenderRequest, Ticket
from lorry.errors import AdapterUnusable, EngineBusy, LorryError

#: Jobs whose adapters are loaded, or on their way, before their turn has come.
LOOKAHEAD = 16


class Serving:
    """One renderer, its adapters, and the requests that wait for them.

    Args:
        open_renderer: Opens the renderer; called once, when it is first needed.
        room: How much memory adapters may take.
    """

    def __init__(self, open_renderer: Callable[[], Renderer], room: Room | None = None) -> None:
        self.figures = Figures()
        self._hands = Hands(open_renderer, self._draw)
        self._memory = AdapterMemory(self._hands.renderer, room or Room(), self._hands.place, self.figures)
        self._lock = threading.RLock()
        self._line = Line()
        self._turns = Turns(self._line)
        self._patience = Patience()
        self._trouble = Trouble()
        self._closed = False
        self._stepped = 0.0

    def warm_up(self) -> None:
        """Open the renderer in the background; see the port.

        What goes wrong then goes wrong again, and is reported, when a request needs it.
        """
        self._hands.warm_up()

    def close(self) -> None:
        """Wait for the step that is being drawn and take no other."""
        with self._lock:
            self._closed = True
            for job in self._line.jobs:
                job.answer.cancel()
        self._hands.close()

    @property
    def canvas(self) -> Canvas:
        """Which pictures it draws; see the port."""
        return self._hands.renderer().canvas

    def keep(self, needed: Needed) -> LoadedAdapter:
        """Load a deployed adapter; see the port."""
        return self._memory.hold(needed)

    def release(self, key: str) -> None:
        """Let go of an adapter; see the port."""
        self._memory.release(key)

    def visit(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter for single requests; see the port."""
        return self._memory.load(needed)

    def loaded(self) -> frozenset[str]:
        """Name the adapters in memory; see the port."""
        return self._memory.loaded()

    def metrics(self) -> bytes:
        """Give what was measured; see the port."""
        return self.figures.text()

    async def render(
        self, requests: Sequence[RenderRequest], needed: Sequence[Needed] = (), watch: Watch | None = None
    ) -> list[Picture]:
        """Draw pictures when their turn comes; see the port."""
        job = Job.of(requests, needed, watch)
        with self._lock:
            self._require_patience(len(requests))
            self._line.jobs.append(job)
            self.figures.waiting.inc(len(requests))
        if job.needed:
            self._hands.load(self._look_ahead)
        self._hands.wake()
        try:
            return await asyncio.wrap_future(job.answer)
        except asyncio.CancelledError:
            self._hands.wake()  # its adapters may go, and others come
            raise

    # What the renderer asks and tells, in the thread that draws.

    def take(self, beside: Sequence[Ticket]) -> Sequence[Ticket]:
        """Give what can be begun now; see the renderer's port."""
        renderer = self._hands.renderer()
        with self._lock:
            self._clear()
            if self._closed or (self._hands.placing and not beside):
                return ()
            if self._trouble.suspects:
                return self._suspect(beside)
            order = self._turns.order(renderer)
            self._load_ahead(order)
            found = self._turns.next(renderer, order, beside, self._trouble.most)
            for job, _ in found:
                self.figures.waiting.dec()
                self.figures.wait.observe(time.monotonic() - job.asked)
            self._count(len(beside) + len(found))
            return [self._turns.begin(job, number) for job, number in found]

    def step(self, ticket: Ticket, done: int, look: Look) -> None:
        """Let whoever watches a picture know; see the renderer's port."""
        with self._lock:
            found = self._line.begun.get(ticket)
            if ticket is next(iter(self._line.begun), None):
                now = time.perf_counter()
                self.figures.step.observe(now - self._stepped)
                self._stepped = now
        if found and found[0].watch is not None:
            found[0].watch(found[1], done, look)

    def finish(self, ticket: Ticket, picture: Picture) -> None:
        """Bring a picture to whoever asked; see the renderer's port."""
        with self._lock:
            found = self._line.begun.pop(ticket, None)
            self._patience.drawn()
            self._trouble.cleared()
            self.figures.pictures.labels("drawn").inc()
            if found and found[0].finish(found[1], picture):
                self._leave(found[0])
                found[0].give()

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Tell whoever asked that a picture can't be drawn; see the renderer's port."""
        with self._lock:
            if found := self._line.begun.pop(ticket, None):
                self._failed(found[0], error)

    def _draw(self) -> None:
        """Draw until nothing can be begun; what comes later wakes us again."""
        try:
            self._hands.renderer().draw(self)
        except BaseException as error:  # noqa: BLE001 - whoever asked learns of it, and the line goes on
            self._stumbled(error)
        with self._lock:
            self._clear()
            self.figures.drawing.set(0)
            self._patience.rest()
            again = bool(self._trouble.suspects) or any(job.stage is Stage.READY for job in self._line.jobs)
        if again and not self._hands.placing:  # who places wakes us afterwards
            self._hands.wake()

    def _stumbled(self, error: BaseException) -> None:
        """Draw what was being drawn again, one by one: what one of them can't have, the others can."""
        with self._lock:
            begun = list(self._line.begun)
            if not self._hands.opened:
                for job in list(self._line.jobs):
                    self._failed(job, error)
                return
        if self._trouble.memory(error):
            self._memory.shrink()
        with self._lock:
            told = self._trouble.met(begun, error)
            for ticket in begun:
                if ticket not in told:
                    self._line.begun.pop(ticket, None)
        for ticket, what in told.items():
            self.fail(ticket, what)

    def _suspect(self, beside: Sequence[Ticket]) -> Sequence[Ticket]:
        """Give one of those that were there when something failed, and nothing beside it."""
        if beside:
            return ()
        at = {job.tickets[number]: (job, number) for job, number in self._line.waiting()}
        ticket = self._trouble.next(lambda each: each in at)
        return [self._line.begin(*at[ticket])] if ticket else ()

    def _require_patience(self, more: int) -> None:
        waiting = sum(len(each.tickets) - len(each.drawn) for each in self._line.jobs)
        wait = 1.0 if self._closed else self._patience.too_long(waiting, more)
        if wait is not None:
            self.figures.pictures.labels("shed").inc(more)
            why = "The engine is being stopped." if self._closed else f"{waiting} pictures wait to be drawn."
            raise EngineBusy(why, evidence={"waiting": waiting, "retry_after": wait})

    def _count(self, size: int) -> None:
        self.figures.drawing.set(size)
        if size:
            self.figures.batch.observe(size)
            self._patience.began()
            self._stepped = time.perf_counter()

    # What comes and goes; the lock is held.

    def _clear(self) -> None:
        """Let go of what was called off."""
        for job in [job for job in self._line.jobs if job.answer.done()]:
            self.figures.pictures.labels("abandoned").inc(len(job.tickets) - len(job.drawn))
            self._leave(job)
        self.figures.waiting.set(len(self._line.waiting()))

    def _failed(self, job: Job, error: BaseException) -> None:
        self.figures.pictures.labels("failed").inc(len(job.tickets) - len(job.drawn))
        self._leave(job)
        job.fail(error)

    def _leave(self, job: Job) -> None:
        """Let go of what has ended, and of the adapters that it needed, before anybody hears of it."""
        self._line.leave(job)
        held, job.stage = job.stage, Stage.ENDED
        if held in (Stage.LOADING, Stage.READY):
            self._memory.unpin(job.needed)

    # The threads that load.

    def _look_ahead(self) -> None:
        """Begin to load while a step is being drawn."""
        with contextlib.suppress(LorryError):  # told to each when it is drawn
            renderer = self._hands.renderer()
            with self._lock:
                self._load_ahead(self._turns.order(renderer))

    def _load_ahead(self, order: Sequence[Waiting]) -> None:
        """Have the adapters of the next jobs come, as far as there is room for them; the lock is held."""
        for job in self._turns.jobs(order)[:LOOKAHEAD]:
            if job.stage is not Stage.WAITING:
                continue
            if not self._memory.has_room(job.needed):
                break
            self._memory.pin(job.needed)
            job.stage = Stage.LOADING
            if self._memory.ready(job.needed):
                self._come(job)
            else:
                self._hands.load(self._come, job)

    def _come(self, job: Job) -> None:
        try:
            for each in job.needed:
                _require_effect(each, self._memory.load(each))
        except BaseException as error:  # noqa: BLE001 - it is that job's alone
            with self._lock:
                if job.stage is not Stage.ENDED:
                    self._failed(job, error)
        else:
            with self._lock:
                if job.stage is Stage.LOADING:
                    job.stage = Stage.READY
        self._hands.wake()


def _require_effect(needed: Needed, loaded: LoadedAdapter) -> None:
    if loaded.modules == 0:
        raise AdapterUnusable(f"{needed.path.name} fits no layer of the base model.")
