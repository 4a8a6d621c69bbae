"""The gateway, built from settings: what `lorry serve` runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

from lorry.errors import LorryError, Unreachable
from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.gateway import Gateway
from lorry.generation.gateway.healths import Healths
from lorry.generation.gateway.keeping import Keeper, Storage
from lorry.generation.gateway.patience import Patience
from lorry.generation.gateway.queue import Queue
from lorry.generation.gateway.rendering import Addresses
from lorry.generation.gateway.replies import Budget
from lorry.generation.gateway.results import Fetching
from lorry.generation.gateway.sampling import Samples
from lorry.generation.gateway.spending import Spending
from lorry.generation.gateway.trying import Tries
from lorry.generation.gateway.waking import Waker
from lorry.generation.gateway.webhooks import Teller
from lorry.generation.gateway.writing import LedgerWriter
from lorry.generation.ports import Blobs, Upstream
from lorry.generation.service import Draws
from lorry.model.budget import standings
from lorry.model.placement import PlacementState
from lorry.model.serving import Place
from lorry.server.drops import Drops
from lorry.server.looks import Looks
from lorry.server.meters import Meters
from lorry.server.rooms import Desk, Rooms
from lorry.server.watching import Tracer, Watch
from lorry.settings import Settings
from lorry.store import Store
from lorry.wiring import House, now
from lorry.wiring.beside import Beside
from lorry.wiring.delivering import HandsOver
from lorry.wiring.errands import Errands
from lorry.wiring.keeping import blobs_of, secret_of
from lorry.wiring.lines import Lines, client_of
from lorry.wiring.measuring import Measuring
from lorry.wiring.previewing import previewed

#: Seconds between two looks whether models, policies or tokens changed.
_LOOK_SECONDS = 1.0
#: Seconds between two looks at what other processes spent, and between two clean-ups.
_SPENT_SECONDS, _CLEAN_SECONDS = 60.0, 3600.0
#: Bytes of whole answers that are read at once.
_READING_BYTES = 64 * 1024 * 1024
#: Requests under way at once.
_AT_ONCE = 2000
#: States in which a worker has something to do.
_WORK = (PlacementState.DELIVERING, PlacementState.RETIRING)


@asynccontextmanager
async def open_rooms(
    settings: Settings,
    *,
    upstream: Upstream | None = None,
    tracer: Tracer | None = None,
    clock: Callable[[], float] = time.monotonic,
    present: Callable[[], datetime] = now,
    keeper: bool = False,
    worker: bool = False,
) -> AsyncIterator[Rooms]:
    """Open everything that the server works with, and run its loops.

    Args:
        settings: The settings.
        upstream: The HTTP client; as the environment wants it when `None`.
        tracer: Traces requests; none when `None`.
        clock: Seconds that only grow.
        present: Gives the time, UTC.
        keeper: Whether a keeper runs beside it.
        worker: Whether a worker does, from when there is something to deliver.
    """
    async with AsyncExitStack() as stack:
        house = House(settings, clock=present)
        stack.push_async_callback(house.close)
        store = await house.store()
        opened = _Gatehouse(settings, house, store, clock, present, worker=worker)
        rooms = await opened.open(stack, upstream, tracer)
        beside = Beside("keeper", settings.home, wanted=keeper)
        stack.push_async_callback(beside.close)
        await beside()
        yield rooms


class _Gatehouse:
    """Builds the rooms of one server."""

    def __init__(
        self,
        settings: Settings,
        house: House,
        store: Store,
        clock: Callable[[], float],
        present: Callable[[], datetime],
        *,
        worker: bool,
    ) -> None:
        self._worker = worker
        self._settings, self._house, self._store = settings, house, store
        self._clock, self._present = clock, present

    async def open(self, stack: AsyncExitStack, upstream: Upstream | None, tracer: Tracer | None) -> Rooms:
        settings, store = self._settings, self._store
        client = upstream or client_of(settings)
        stack.push_async_callback(client.close)
        directory = LiveDirectory(store)
        healths = Healths(store.outages, self._clock)
        spending = Spending(self._present)
        samples = Samples(lambda name: name in directory.now.models)
        ledger = LedgerWriter(store.ledger, samples.add)
        watch = Watch(Meters(), tracer)
        lines = Lines(settings)
        tries = Tries(directory, healths, spending, ledger, lines, client, watch, self._clock, self._present)
        waker = self._waker(directory, spending)
        addresses = Addresses(await asyncio.to_thread(secret_of, settings))
        patience = Patience(tries, waker)
        keeper = self._keeper(patience, client, addresses)
        queue = Queue(store.kept, keeper, tries, self._present, public_url=settings.public_url or "")
        teller = Teller(store.hooks, self._post, addresses, lambda: self._present().timestamp())
        desk = self._desk(stack, directory)

        await directory.refresh()
        await healths.load()
        await self._learn_spent(spending)
        await store.ledger.settle(self._present() - timedelta(seconds=2 * settings.answer_seconds))
        ledger.start()
        stack.push_async_callback(ledger.close)
        queue.start()
        teller.start()
        loops = self._loops(directory, healths, lines, spending, samples, keeper, desk.drops)
        stack.push_async_callback(_stop, loops)
        stack.push_async_callback(teller.close)
        stack.push_async_callback(waker.close)
        stack.push_async_callback(keeper.close, 20.0)
        stack.push_async_callback(queue.close, 20.0)
        worker = await self._hands(stack, directory)
        return Rooms(
            gateway=Gateway(patience, keeper),
            directory=directory,
            queue=queue,
            kept=store.kept,
            blobs=keeper.storage.blobs,
            addresses=addresses,
            healths=healths,
            waker=waker,
            access=store,
            money=store.books,
            watch=watch,
            deliver=HandsOver(desk.errand, worker),
            desk=desk,
            refresh=directory.refresh,
            ready=self._ready,
            measure=self._measuring(watch.meters, directory, healths, waker, ledger).measure,
            now=self._present,
            clock=self._clock,
            most_bytes=int(settings.body_limit * 2**20),
            most_at_once=_AT_ONCE,
            public_url=settings.public_url,
            version=version("lorry"),
        )

    def _measuring(
        self,
        meters: Meters,
        directory: LiveDirectory,
        healths: Healths,
        waker: Waker,
        ledger: LedgerWriter,
    ) -> Measuring:
        return Measuring(self._store, meters, directory, healths, waker, ledger, self._clock, self._present)

    def _desk(self, stack: AsyncExitStack, directory: LiveDirectory) -> Desk:
        """Build what the dashboard needs."""
        settings, store = self._settings, self._store
        looks = Looks(store.figures, store.books, directory, self._clock, self._present)
        errands = Errands(settings.home)
        stack.push_async_callback(errands.close)
        stack.push_async_callback(looks.close)
        drops = Drops(settings.home / "dropped", int(settings.drop_limit * 2**20))
        previews = partial(previewed, settings)
        return Desk(errands, store, store.claiming, looks, drops, previews)

    async def _hands(self, stack: AsyncExitStack, directory: LiveDirectory) -> Beside:
        """Give what has a worker run beside; at once where deliveries of the server before this one wait."""
        worker = Beside("worker", self._settings.home, wanted=self._worker, quiet=True)
        stack.push_async_callback(worker.close)
        if any(placed.state in _WORK for placed in directory.now.placements.values()):
            await worker()
        return worker

    def _loops(
        self,
        directory: LiveDirectory,
        healths: Healths,
        lines: Lines,
        spending: Spending,
        samples: Samples,
        keeper: Keeper,
        drops: Drops,
    ) -> list[asyncio.Task[None]]:
        kept_up = self._keep_up(directory, healths, lines)
        clean = partial(self._clean, keeper.storage.blobs, drops, directory)
        account = self._keep_account(spending, samples, clean)
        return [
            asyncio.create_task(kept_up, name="directory"),
            asyncio.create_task(account, name="account"),
        ]

    def _waker(self, directory: LiveDirectory, spending: Spending) -> Waker:
        from lorry.platforms.waking import PlatformSleeper

        sleeper = PlatformSleeper(lambda place: self._house.platform_of(place.placement))

        def policy(place: Place) -> str:
            return directory.now.policy(place.key).asleep

        def require(place: Place) -> None:
            if not place.embedded:
                owner = directory.now.policy(place.key).owner
                spending.budgets.require(place.key, owner, 0.0, f"Starting {place.key}")

        return Waker(sleeper, self._store.starts, self._clock, refuses=policy, require=require)

    def _keeper(self, patience: Patience, client: Upstream, addresses: Addresses) -> Keeper:
        async def painter(place: Place) -> Draws:
            return (await self._house.platform_of(place.placement)).painter

        fetching = Fetching(client, self._clock, Budget(_READING_BYTES), painter, secrets.randbelow)
        worker = f"serve-{os.getpid()}-{secrets.token_hex(4)}"
        storage = Storage(self._store.kept, blobs_of(self._settings), addresses, worker, self._settings.keep)
        return Keeper(patience, fetching, storage, self._present)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a message to an address that a caller gave, once it was judged; no answer is read."""
        from lorry.weights.catalogue import StructureFault
        from lorry.weights.origins.web import Web

        def send() -> int:
            with Web(self._house.access()) as web:
                return web.tell(url, headers, body)

        try:
            return await asyncio.to_thread(send)
        except StructureFault as error:
            raise Unreachable(str(error)) from error

    async def _ready(self) -> str:
        try:
            await self._store.mark()
        except LorryError as error:
            return error.message
        return ""

    async def _learn_spent(self, spending: Spending) -> None:
        now = self._present()
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        spending.begin(await self._store.ledger.spent(month))
        budgets = await self._store.books.budgets()
        spent = await self._store.books.spent(now) if budgets else {}
        spending.budgets.read(standings(budgets, spent, now))

    async def _keep_up(self, directory: LiveDirectory, healths: Healths, lines: Lines) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with contextlib.suppress(LorryError):  # a database that restarts: what is known goes on
                await directory.refresh()
                lines.forget()
                await healths.load()

    async def _keep_account(
        self, spending: Spending, samples: Samples, clean: Callable[[], Awaitable[None]]
    ) -> None:
        cleaned = self._clock()
        while True:
            await asyncio.sleep(_SPENT_SECONDS)
            with contextlib.suppress(LorryError):
                await self._learn_spent(spending)
                for event in samples.worth_telling(self._present()):
                    await self._store.write(event)
                if self._clock() - cleaned >= _CLEAN_SECONDS:
                    cleaned = self._clock()
                    await clean()

    async def _clean(self, blobs: Blobs, drops: Drops, directory: LiveDirectory) -> None:
        """Forget what is older than the settings say."""
        await asyncio.to_thread(drops.forget, [model.source for model in directory.now.models.values()])
        before = self._present() - timedelta(days=self._settings.keep_days)
        await self._store.kept.forget(before)
        await blobs.forget(before - timedelta(days=1))
        await self._store.forget_events(self._present() - timedelta(days=self._settings.journal_days))


async def _stop(loops: list[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def guarded(settings: Settings) -> bool:
    """Say whether any token was ever made."""
    house = House(settings)
    try:
        return bool(await (await house.store()).tokens())
    finally:
        await house.close()
