"""The queue: requests that are carried out without anybody waiting on the line.

It lies in the database, so it outlives the process. A request that a killed process had begun is begun again,
unless it had been sent to a place that bills by the request: nobody knows whether that is owed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from lorry.errors import GenerationEnded, GenerationNotFound, InternalError, LorryError, OutcomeUnknown
from lorry.generation.asking import Ask, Form, read_chat, read_generate, read_images
from lorry.generation.gateway.callers import HOUSE, Caller
from lorry.generation.gateway.keeping import LEASE_SECONDS, Keeper
from lorry.generation.gateway.sink import Request
from lorry.generation.gateway.trying import Tries
from lorry.generation.ports import Kept
from lorry.generation.routing.fairness import Limits, Waiting, next_ones
from lorry.model.kept import Generated

_LOG = logging.getLogger("lorry.queue")

#: Seconds between two looks when nobody calls.
_LOOK_SECONDS = 1.0
#: Requests that are looked at to choose from.
_WINDOW = 1000
#: Seconds that a request of the queue waits for a model that is asleep.
_PATIENCE = 3600.0

_READERS: Mapping[str, Callable[[bytes], Ask]] = {
    Form.IMAGES: read_images,
    Form.CHAT: read_chat,
    Form.GENERATE: read_generate,
}


class Queue:
    """Carries out what waits.

    Args:
        kept: Where it waits.
        keeper: Carries out a request and keeps its result.
        tries: Knows callers and times.
        now: Gives the time, UTC.
        at_once: Requests at once in this process.
        per_owner: Of one owner at once.
        public_url: Address of this server in what is told at the end.
    """

    def __init__(
        self,
        kept: Kept,
        keeper: Keeper,
        tries: Tries,
        now: Callable[[], datetime],
        *,
        at_once: int = 16,
        per_owner: int = 4,
        public_url: str = "",
    ) -> None:
        self._kept, self._keeper, self._tries, self._now = kept, keeper, tries, now
        self._at_once, self._per_owner = at_once, per_owner
        self._public_url = public_url
        self._news = asyncio.Event()
        self._closing = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to carry out."""
        self._loop = asyncio.create_task(self._run(), name="queue")

    async def close(self, seconds: float) -> None:
        """Begin nothing more, and let what is under way end for a while."""
        self._closing = True
        self._news.set()
        if self._loop is not None:
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def add(self, request: Request, ask: Ask) -> Generated:
        """Put a request into the queue; give the one that has its key already.

        Raises:
            ModelNotFound: There is no such model for this caller.
            NoRoute: No place may ever answer it.
        """
        self._tries.rank(request, ask)  # a model that nobody knows is told now, not later
        row = self._keeper.row_of(request, ask, queued=True)
        there = await self._kept.begin(row)
        self._news.set()
        return self._keeper.same(there, row) if there else row

    async def find(self, id: str, caller: Caller) -> Generated:  # noqa: A002
        """Read a request.

        Raises:
            GenerationNotFound: There is none that this caller may see.
        """
        row = await self._kept.find(id[:64])
        if row is None or (caller.owner is not None and row.owner != caller.owner):
            raise GenerationNotFound(f"No generation {id[:64]!r} is known here.", evidence={"id": id[:64]})
        return row

    async def cancel(self, id: str, caller: Caller) -> Generated:  # noqa: A002
        """End a request that waits.

        Raises:
            GenerationNotFound: There is none that this caller may see.
            GenerationEnded: It was begun, or has ended.
        """
        row = await self.find(id, caller)
        if not await self._kept.cancel(row.id, self._now()):
            row = await self.find(id, caller)
            raise GenerationEnded(
                f"The generation {row.id} is {row.state} and can't be canceled any more.",
                evidence={"id": row.id, "state": str(row.state)},
            )
        return await self.find(id, caller)

    async def _run(self) -> None:
        renewed = 0.0
        while not self._closing:
            try:
                if self._tries.clock() - renewed >= LEASE_SECONDS / 3:
                    renewed = self._tries.clock()
                    await self._kept.renew(self._keeper.storage.worker, LEASE_SECONDS)
                    await self._take_over()
                await self._begin_some()
            except LorryError as error:  # a database that restarts: it is tried again
                _LOG.warning("the queue waits: %s", error.message)
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)
                self._news.clear()

    async def _begin_some(self) -> None:
        if len(self._tasks) >= self._at_once:
            return
        waiting = {row.id: row for row in await self._kept.waiting(_WINDOW)}
        if not waiting:
            return
        rows = [Waiting(row.id, row.owner, row.model) for row in waiting.values()]
        policies = self._tries.directory.now.policy
        limits = Limits(
            self._at_once, self._per_owner, lambda model: policies(model).at_once or self._at_once
        )
        for chosen in next_ones(rows, await self._kept.running(), limits):
            worker = self._keeper.storage.worker
            if await self._kept.claim(chosen.id, worker, LEASE_SECONDS, self._now()):
                task = asyncio.create_task(self._carry_out(waiting[chosen.id]), name=chosen.id)
                self._tasks[chosen.id] = task
                task.add_done_callback(lambda _, row=chosen.id: self._done(row))  # type: ignore[misc]

    def _done(self, row: str) -> None:
        self._tasks.pop(row, None)
        self._news.set()

    async def _carry_out(self, row: Generated) -> None:
        try:
            ask = _READERS[row.form](row.body.encode())
            request = Request(
                row.id,
                self._caller(row),
                row.body.encode(),
                self._tries.clock(),
                row.key,
                wait=_PATIENCE,
                server=lambda: self._public_url,
            )
            await self._keeper.carry_out(row, request, ask)
        except OutcomeUnknown:
            pass  # noted with its error already
        except LorryError as error:
            await self._keeper.fail(row, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours ends this request, not the queue
            _LOG.exception("generation %s failed", row.id)
            said = f"The server failed on this request ({type(error).__name__})."
            await self._keeper.fail(row, InternalError(said))

    def _caller(self, row: Generated) -> Caller:
        """Give who asked, as they are now; for a token that is gone, what it could see."""
        callers = self._tries.directory.now.callers.values()
        found = next((caller for caller in callers if caller.token == row.token), None)
        return found or (HOUSE if row.owner is None else Caller(row.token, row.owner))

    async def _take_over(self) -> None:
        """See to what killed processes had begun."""
        for row in await self._kept.lost():
            if row.id in self._tasks or row.id in self._keeper.running:
                continue
            if await self._kept.was_sent(row.id):
                await self._keeper.fail(row, _cut_off(row))
            elif row.queued:
                await self._kept.requeue(row.id)
                self._news.set()
            else:
                await self._kept.drop(row.id)


def _cut_off(row: Generated) -> OutcomeUnknown:
    return OutcomeUnknown(
        "The server was ended while the request was at a place that bills for it, so nobody knows whether "
        "it was carried out; it is not sent again.",
        evidence={"request": row.id},
    )
