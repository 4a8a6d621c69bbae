"""Who runs which delivery: leases that die with their holder; another takes over, and never two at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that runs deliveries.

    Attributes:
        id: Its own, new in every process.
        host: Name of its machine.
        pid: Its process id there.
        home: Its home; two processes of one home can tell by a locked file whether the other lives.
    """

    id: str
    host: str
    pid: int
    home: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in somebody's hands.

    Attributes:
        model: Whose delivery.
        worker: Id of who has it.
        taken: How often it was taken up since its last finished step: a delivery that kills who runs it
            has many.
        asked: What its holder is asked to do; empty when nothing, `let go` to stop and release it.
        alive: Whether the holder's lease still runs.
    """

    model: str
    worker: str
    taken: int
    asked: str
    alive: bool


class Claims(Protocol):
    """The workers and what they hold. A lease is measured by one clock: that of the database."""

    async def enlist(self, worker: Worker, seconds: float) -> None:
        """Begin a worker's lease."""

    async def renew(self, worker: str, seconds: float) -> Mapping[str, Claim] | None:
        """Extend a lease that has not ended; give what the worker holds, by model.

        Returns:
            `None` when the lease has ended or the worker is not listed: it must stop all that it runs.
        """

    async def leave(self, worker: str) -> None:
        """End a worker's lease, and let go of what it holds. One that is not listed is fine."""

    async def workers(self) -> Mapping[Worker, bool]:
        """List the workers, and whether each one's lease still runs."""

    async def take(self, model: str, worker: str) -> bool:
        """Take a delivery that nobody living holds; taking one's own again is fine. Atomic.

        Returns:
            Whether the worker holds it now; never for a worker whose lease has ended.
        """

    async def release(self, model: str, worker: str) -> None:
        """Let go of a delivery; one that the worker does not hold is left alone."""

    async def settle(self, model: str, worker: str) -> None:
        """Note that a step was done: `taken` counts from one again."""

    async def ask(self, model: str, wish: str) -> None:
        """Ask whoever holds a delivery for something; it reads that when it renews its lease."""

    async def claims(self) -> Mapping[str, Claim]:
        """List what is held, by model."""
