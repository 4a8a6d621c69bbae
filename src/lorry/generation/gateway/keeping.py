"""Results that are kept: stored before they are answered, and answered again to whoever comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lorry.errors import (
    KeyReused,
    LorryError,
    OutcomeUnknown,
    StillRunning,
    StorageError,
    error_from,
)
from lorry.generation.asking import Ask, Form, fingerprint
from lorry.generation.gateway.attempts import Asleep, Attempt
from lorry.generation.gateway.passing import passed_through
from lorry.generation.gateway.patience import Patience
from lorry.generation.gateway.rendering import Addresses
from lorry.generation.gateway.results import Fetching, Result
from lorry.generation.gateway.sending import Sending
from lorry.generation.gateway.sink import Request, Sink
from lorry.generation.gateway.telling import hook_of
from lorry.generation.ports import Blobs, Kept
from lorry.model.kept import Generated, State

#: Seconds that a process holds what it carries out; it renews that every third of it.
LEASE_SECONDS = 30.0
_KEEP_ALL = "all"
#: Routes that bill by the request, or whose answers come through a queue and not on the line.
_KEPT_ROUTES = frozenset({"together-url", "together-container"})

#: Seconds for which a result stays in memory for whoever waits for it.
_FRESH_SECONDS = 2.0


@dataclass(slots=True)
class Storage:
    """Where results are kept.

    Attributes:
        kept: The rows.
        blobs: Pictures.
        addresses: Signs their addresses.
        worker: Names this process.
        keep: `paid`, or `all`.
    """

    kept: Kept
    blobs: Blobs
    addresses: Addresses
    worker: str
    keep: str = "paid"


class Keeper:
    """Answers requests whose results are kept.

    Args:
        patience: Finds places.
        fetching: Reads whole results.
        storage: Where they are kept.
        now: Gives the time, UTC.
    """

    def __init__(
        self, patience: Patience, fetching: Fetching, storage: Storage, now: Callable[[], datetime]
    ) -> None:
        self._patience = patience
        self._fetching = fetching
        self._now = now
        self.storage = storage
        self.sending = Sending(storage.blobs, storage.addresses)
        self.running: dict[str, asyncio.Task[Generated]] = {}
        self._keyed: dict[tuple[str | None, str | None], tuple[Generated, asyncio.Task[Generated]]] = {}

    def keeps(self, request: Request, ask: Ask) -> bool:
        """Say whether the result of a request is kept.

        It is when it came with a key, costs by the request at any place that may answer it, is answered as an
        address, or can't be passed on as it comes; or when all are.
        """
        if request.key is not None or ask.form is Form.GENERATE or self.storage.keep == _KEEP_ALL:
            return True
        if request.respond_async or ask.words_only:
            return request.respond_async
        return ask.address or self._kept_anyway(ask.model)

    def _kept_anyway(self, model: str) -> bool:
        """Say whether any place of a model bills by the request, or answers through a queue."""
        snapshot = self._patience.tries.directory.now
        known = snapshot.kept_anyway.get(model)
        if known is None:
            policy = snapshot.policy(model)
            named = snapshot.place(model)
            places = [*([named] if named else []), *snapshot.others(policy)]
            known = snapshot.kept_anyway[model] = any(place.route in _KEPT_ROUTES for place in places)
        return known

    async def answer(self, request: Request, ask: Ask, sink: Sink) -> None:
        """Answer a request with a result that is stored first, or with the one that was stored for its key.

        Raises:
            LorryError: It can't be answered.
            CallerLeft: Whoever asked has gone; a result that is under way is kept all the same.
        """
        row = self.row_of(request, ask)
        if ask.stream:
            await self._streamed(row, request, ask, sink)
            return
        task = self._task(row, request, ask)
        try:
            await self.sending.send(await asyncio.shield(task), request, sink)
        finally:
            if task.done():
                self.sending.forget(row.id)

    def _task(self, row: Generated, request: Request, ask: Ask) -> asyncio.Task[Generated]:
        """Begin the work on a request, or find what works on its key already.

        Raises:
            KeyReused: The key belongs to another request that is being answered.
        """
        slot = (row.owner, row.key)
        if row.key is not None and slot in self._keyed:
            there, task = self._keyed[slot]
            self.same(there, row)
            return task
        # A task of its own, from its very beginning: whoever asks may leave, the work goes on.
        task = asyncio.get_running_loop().create_task(self._carried(row, request, ask), name=row.id)
        self.running[row.id] = task
        if row.key is not None:
            self._keyed[slot] = (row, task)
        task.add_done_callback(lambda done: self._ended(row, done))
        return task

    async def _carried(self, row: Generated, request: Request, ask: Ask) -> Generated:
        if row.key is not None:
            there = await self.storage.kept.begin(row, LEASE_SECONDS)
            if there is not None:
                return _standing(self.same(there, row))
        return await self.carry_out(row, request, ask)

    def row_of(self, request: Request, ask: Ask, *, queued: bool = False) -> Generated:
        """Give the row of a request that begins now, or waits in the queue."""
        return Generated(
            request.id,
            request.caller.owner,
            request.caller.token,
            request.key,
            fingerprint(ask.form, request.body),
            ask.model,
            ask.form.value,
            request.body.decode(),
            queued,
            State.WAITING if queued else State.RUNNING,
            self._now(),
            None if queued else self.storage.worker,
            None if queued else self._now(),
            webhook=ask.webhook,
        )

    async def carry_out(self, row: Generated, request: Request, ask: Ask) -> Generated:
        """Have a request answered by a place, and store what came of it.

        Args:
            row: The request's row; written already when it has a key or comes from the queue.
            request: What came.
            ask: What was asked for.

        Returns:
            The row with its answer; one that waits in the queue when the model is asleep.

        Raises:
            LorryError: It could not be answered. Its key is free again, unless it may have been paid for.
        """
        written = row.key is not None or row.queued

        async def trial(attempt: Attempt) -> Result:
            return await self._fetching.fetch(request, ask, attempt)

        try:
            result, attempt = await self._patience.run(request, ask, trial)
        except Asleep as error:
            return await self._put_off(row, request, ask, error, written=written)
        except LorryError as error:
            if isinstance(error, OutcomeUnknown):
                await self._end(row, State.FAILED, error=error, written=written)
            elif written and not row.queued:
                await self.storage.kept.drop(row.id)
            raise
        return await self._store(row, request, ask, result, attempt, written=written)

    async def _store(
        self, row: Generated, request: Request, ask: Ask, result: Result, attempt: Attempt, *, written: bool
    ) -> Generated:
        answer = self._answer(request, ask, result, attempt)
        paid = [self._patience.tries.final_row(request, ask, attempt)] if attempt.cents else []
        now = self._now()
        done = replace(row, state=State.DONE, answer=answer, started_at=row.started_at or now, ended_at=now)
        hook = hook_of(done, self.storage.addresses, request.address) if row.webhook else None
        # Whoever waits for it is answered from here and not from the disk; until then it stays in memory.
        self.sending.remember(row, result)
        try:
            for made in result.pictures:
                await self.storage.blobs.put(made.content, made.digest)
            if written:
                await self.storage.kept.end(row.id, State.DONE, now, answer=answer, ledger=paid, hook=hook)
            else:
                await self.storage.kept.begin(done, ledger=paid, hook=hook)
        except StorageError:
            self.sending.remember(row, result, whatever=True)
            # It can't be kept; whoever waits for it shall have it all the same, inside the answer.
            return replace(done, answer={**answer, "address": False})
        finally:
            if row.queued:  # nobody waits on the line
                self.sending.forget(row.id)
        return done

    def _answer(self, request: Request, ask: Ask, result: Result, attempt: Attempt) -> dict[str, Any]:
        """Give the answer without its pictures."""
        place = attempt.place
        common = {"route": place.route, "place": place.key, "base": place.model.base, "cents": attempt.cents}
        if ask.form is Form.CHAT:
            return {**common, "body": (result.body or b"").decode(), "media": "application/json"}
        pictures = [
            {"digest": made.digest, "media": made.media, "seed": made.seed, "index": index}
            for index, made in enumerate(result.pictures)
        ]
        clock = self._patience.tries.clock
        words = {"text": result.text, "finish": result.finish, "tokens": list(result.tokens)}
        told = {
            **common,
            "prompt": result.prompt,
            "trigger_added": result.trigger_added,
            "words": words if result.text is not None else None,
            "missing": result.missing or None,
            "timings": {
                "first_byte": _between(attempt.began, attempt.first_byte),
                "place": round(clock() - attempt.began, 4),
                "total": round(clock() - request.began, 4),
            },
        }
        address = ask.address and not ask.words_only
        return {**common, "pictures": pictures, "meta": result.meta, "told": told, "address": address}

    async def _put_off(
        self, row: Generated, request: Request, ask: Ask, asleep: Asleep, *, written: bool
    ) -> Generated:
        """Put a request whose model is asleep into the queue, where its caller can wait for it that way."""
        start = await self._patience.starting(asleep)
        if ask.form is not Form.GENERATE and not request.respond_async:
            if written:
                await self.storage.kept.drop(row.id)
            raise start
        note = {"starting": start.evidence}
        waiting = replace(row, state=State.WAITING, queued=True, worker=None, started_at=None, note=note)
        if written:
            await self.storage.kept.drop(row.id)
        await self.storage.kept.begin(waiting)
        return waiting

    async def _streamed(self, row: Generated, request: Request, ask: Ask, sink: Sink) -> None:
        """Pass words on as they come, and keep what was sent once it is whole."""
        if row.key is not None:
            there = await self._begun(row)
            if there is not None:
                await self.sending.send(_standing(self.same(there, row)), request, sink)
                return
        whole = False
        try:
            passed = await passed_through(self._patience, request, ask, sink, keep=True)
            whole = not passed.broken
        except Asleep as error:
            raise await self._patience.starting(error) from None
        finally:
            if not whole and row.key is not None:
                await self.storage.kept.drop(row.id)
        if whole and row.key is not None:
            answer = {"body": b"".join(passed.body).decode(), "media": "text/event-stream"}
            await self.storage.kept.end(row.id, State.DONE, self._now(), answer=answer)

    async def _begun(self, row: Generated) -> Generated | None:
        """Write a row; one whose caller leaves meanwhile is taken back, or its key would never be free."""
        work = asyncio.ensure_future(self.storage.kept.begin(row, LEASE_SECONDS))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            await self.storage.kept.drop(row.id)
            raise

    def same(self, there: Generated, mine: Generated) -> Generated:
        """Give the request that has a key already, if it asked for the same.

        Raises:
            KeyReused: It asked for something else.
        """
        if there.fingerprint != mine.fingerprint:
            raise KeyReused(
                "This idempotency key was used for another request.",
                evidence={"request": there.id, "key": mine.key},
            )
        return there

    async def _end(self, row: Generated, state: State, *, error: LorryError, written: bool) -> None:
        if not written:
            await self.storage.kept.begin(row)
        hook = None
        if row.webhook:
            failed = replace(row, state=state, error=error.as_dict())
            hook = hook_of(failed, self.storage.addresses, "")
        await self.storage.kept.end(row.id, state, self._now(), error=error.as_dict(), hook=hook)

    async def fail(self, row: Generated, error: LorryError) -> None:
        """Note that a request of the queue came to nothing."""
        await self._end(row, State.FAILED, error=error, written=True)

    def _ended(self, row: Generated, task: asyncio.Task[Generated]) -> None:
        self.running.pop(row.id, None)
        self._keyed.pop((row.owner, row.key), None)
        # Soon enough for those who wait for it; a caller that left first never takes it.
        asyncio.get_running_loop().call_later(_FRESH_SECONDS, self.sending.forget, row.id)
        if not task.cancelled():
            task.exception()  # told to whoever waits; when nobody does any more, to nobody

    async def close(self, seconds: float) -> None:
        """Let what is under way end, for a while."""
        if self.running:
            await asyncio.wait(self.running.values(), timeout=seconds)


def _standing(there: Generated) -> Generated:
    """Give a request that was begun before, if it can be answered from what is known of it.

    Raises:
        StillRunning: Another process, or a stream, is still answering it.
        LorryError: It failed for good.
    """
    if there.state is State.FAILED:
        raise error_from(there.error or {})
    if not there.state.ended and not there.queued:
        raise StillRunning(
            "The request with this idempotency key is still being answered.",
            evidence={"request": there.id, "retry_after": 1},
        )
    return there


def _between(began: float, ended: float | None) -> float | None:
    return None if ended is None else round(ended - began, 4)
