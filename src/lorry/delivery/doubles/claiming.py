"""Leases in memory; they end when the test says so."""

from __future__ import annotations

from dataclasses import replace

from lorry.delivery.ports.claiming import Claim, Worker


class MemoryClaims:
    """`Claims` of `lorry.delivery.ports`, in memory."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._expired: set[str] = set()
        self._claims: dict[str, Claim] = {}

    def expire(self, worker: str) -> None:
        """Let a worker's lease end, as if it had not renewed it."""
        self._expired.add(worker)

    async def enlist(self, worker: Worker, seconds: float) -> None:
        """Begin a worker's lease."""
        self._workers[worker.id] = worker
        self._expired.discard(worker.id)
        if seconds <= 0:
            self.expire(worker.id)

    async def renew(self, worker: str, seconds: float) -> dict[str, Claim] | None:
        """Extend a lease that has not ended; give what the worker holds."""
        if not self._alive(worker):
            return None
        if seconds <= 0:
            self.expire(worker)
        return {model: claim for model, claim in (await self.claims()).items() if claim.worker == worker}

    async def leave(self, worker: str) -> None:
        """End a worker's lease, and let go of what it holds."""
        self._workers.pop(worker, None)
        for model in [model for model, claim in self._claims.items() if claim.worker == worker]:
            del self._claims[model]

    async def workers(self) -> dict[Worker, bool]:
        """List the workers, and whether each one's lease still runs."""
        return {worker: self._alive(worker.id) for worker in self._workers.values()}

    async def take(self, model: str, worker: str) -> bool:
        """Take a delivery that nobody living holds."""
        held = self._claims.get(model)
        if not self._alive(worker) or (held and held.worker != worker and self._alive(held.worker)):
            return False
        if held is None or held.worker != worker:
            self._claims[model] = Claim(model, worker, held.taken + 1 if held else 1, "", alive=True)
        return True

    async def release(self, model: str, worker: str) -> None:
        """Let go of a delivery."""
        if model in self._claims and self._claims[model].worker == worker:
            del self._claims[model]

    async def settle(self, model: str, worker: str) -> None:
        """Note that a step was done."""
        held = self._claims.get(model)
        if held and held.worker == worker:
            self._claims[model] = replace(held, taken=1)

    async def ask(self, model: str, wish: str) -> None:
        """Ask whoever holds a delivery for something."""
        if model in self._claims:
            self._claims[model] = replace(self._claims[model], asked=wish)

    async def claims(self) -> dict[str, Claim]:
        """List what is held, by model."""
        return {
            model: replace(claim, alive=self._alive(claim.worker)) for model, claim in self._claims.items()
        }

    def _alive(self, worker: str) -> bool:
        return worker in self._workers and worker not in self._expired
