"""This process as a worker: its lease, the deliveries that it holds, and the proof to others that it lives.

A lease that nobody renews ends by itself, so whoever loses its machine loses its deliveries within seconds.
Processes of one home need not wait for that: each keeps a file locked as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lorry.delivery.lock import alone, is_held, lock, unlock
from lorry.delivery.ports import Claim, Claims, Worker
from lorry.errors import LorryError

#: Asks a holder to stop a delivery and to release it.
LET_GO = "let go"

_FOLDER = "workers"


class Custody:
    """What this process holds; an asynchronous context manager.

    Args:
        claims: Where leases are kept.
        home: Folder of Lorry's own state.
        lease: Seconds after which a lease that is not renewed ends.
        beat: Seconds between two renewals.
        drop: Called with a model whose delivery must be stopped at once: somebody asks for it, or has it.
    """

    def __init__(
        self, claims: Claims, home: Path, lease: float, beat: float, drop: Callable[[str], None]
    ) -> None:
        self._claims = claims
        self._folder = home / _FOLDER
        self._lease, self._beat = lease, beat
        self._drop = drop
        self.id = uuid.uuid4().hex[:16]
        self._mine: dict[str, bool] = {}  # the models held, and whether each may have a count of takeovers
        self._until = 0.0
        self._lock: int | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Custody:
        home = await asyncio.to_thread(_identity, self._folder)
        self._me = Worker(self.id, socket.gethostname(), os.getpid(), home)
        self._lock = lock(self._file(self.id))
        try:
            await self.bury()
            await self._enlist()
        except BaseException:
            self._unlock()
            raise
        self._renewing = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._renewing is not None:
                self._renewing.cancel()
                await asyncio.wait({self._renewing})
            with contextlib.suppress(LorryError):  # a database that is gone: the lease ends by itself
                await self._claims.leave(self.id)
        finally:
            self._unlock()

    @property
    def held(self) -> frozenset[str]:
        """The models whose deliveries this process holds."""
        return frozenset(self._mine)

    async def take(self, model: str) -> bool:
        """Take a delivery unless somebody living holds it."""
        if model in self._mine:
            return True
        taken = await self._claims.take(model, self.id)
        if not taken:  # held; by a process of this home that is gone, perhaps
            await self.bury()
            taken = await self._claims.take(model, self.id)
        if taken:
            self._mine[model] = True
        return taken

    async def release(self, model: str) -> None:
        """Let go of a delivery."""
        if self._mine.pop(model, None) is not None:
            await self._claims.release(model, self.id)

    async def holder(self, model: str) -> tuple[Claim, Worker | None] | None:
        """Say who else holds a delivery and lives, if anybody does."""
        claim = (await self._claims.claims()).get(model)
        if claim is None or not claim.alive or claim.worker == self.id:
            return None
        workers = await self._claims.workers()
        return claim, next((worker for worker in workers if worker.id == claim.worker), None)

    async def ask(self, model: str) -> None:
        """Ask whoever holds a delivery to let go of it."""
        await self._claims.ask(model, LET_GO)

    async def claims(self) -> Mapping[str, Claim]:
        """List what anybody holds, by model."""
        return await self._claims.claims()

    async def living(self) -> frozenset[str]:
        """List the ids of the workers that live."""
        return frozenset(worker.id for worker, alive in (await self._claims.workers()).items() if alive)

    async def keep(self, model: str) -> None:
        """Go on only while the delivery is held: a process that lost it is cancelled here.

        What renews the lease runs beside this, and may have been held up: then it is renewed first.
        """
        if model in self._mine and time.time() > self._until:
            await self.renew()
        if model not in self._mine:
            task = asyncio.current_task()
            if task is not None:
                task.cancel()
            await asyncio.sleep(0)

    async def settle(self, model: str) -> None:
        """Note that a step was done: what was taken over from the dead does not kill whoever runs it."""
        if self._mine.get(model):
            await self._claims.settle(model, self.id)
            self._mine[model] = False

    async def bury(self) -> None:
        """End the leases of processes of this home that are gone, without waiting for their time."""
        workers = await self._claims.workers()
        holders = {claim.worker for claim in (await self._claims.claims()).values()}
        for worker, alive in workers.items():
            near = worker.home == self._me.home and worker.id != self.id
            if near and alive and not is_held(self._file(worker.id)):
                await self._claims.enlist(worker, 0.0)
                self._file(worker.id).unlink(missing_ok=True)
            elif not alive and worker.id not in holders:
                await self._claims.leave(worker.id)

    # The lease

    async def _enlist(self) -> None:
        begun = time.time()
        await self._claims.enlist(self._me, self._lease)
        self._until = begun + self._lease

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            try:
                await self.renew()
            except LorryError:  # the database does not answer: what is held may not be ours much longer
                if time.time() > self._until:
                    self._lose(self.held)

    async def renew(self) -> None:
        """Extend the lease; drop what was lost, and what somebody asks for."""
        begun, before = time.time(), self.held
        renewed = await self._claims.renew(self.id, self._lease)
        if renewed is None:
            await self._come_back()
            return
        self._until = begun + self._lease
        self._lose((before & self.held) - renewed.keys())
        for model, claim in renewed.items():
            if claim.asked == LET_GO and model in self._mine:
                self._drop(model)

    async def _come_back(self) -> None:
        """Begin a new lease after one that ended, as after a sleep of the machine; keep what nobody took."""
        await self._enlist()
        lost = [model for model in self.held if not await self._claims.take(model, self.id)]
        self._lose(lost)

    def _lose(self, models: Iterable[str]) -> None:
        for model in tuple(models):
            self._mine.pop(model, None)
            self._drop(model)

    # The file that is locked as long as this process lives

    def _file(self, worker: str) -> Path:
        return self._folder / f"{worker}.lock"

    def _unlock(self) -> None:
        if self._lock is not None:
            self._file(self.id).unlink(missing_ok=True)
            unlock(self._lock)
            self._lock = None


def _identity(folder: Path) -> str:
    """Give what tells this home from all others: made once, and void in a copy of the home."""
    file = folder / "home"
    with alone(folder / "home.lock"):
        if not file.exists():
            file.write_text(uuid.uuid4().hex)
        place = file.stat()
        return f"{file.read_text()}:{place.st_dev}:{place.st_ino}"
