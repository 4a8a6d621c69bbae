"""What the keeper needs from the world, as narrow protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lorry.model.billing import Billed, Lease, Run
from lorry.model.budget import Budget, Spent
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy
from lorry.spend.scaling import Load


@dataclass(frozen=True, slots=True)
class Listing:
    """What a platform says bills there.

    Attributes:
        objects: All of it.
        missing: Kinds that could not be listed, with the reason; what was known of them stays.
    """

    objects: tuple[Billed, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


class Fleet(Protocol):
    """Everything that bills on one account at a platform.

    Attributes:
        address: Where it is, for sentences.
        rehearsal: Whether the embedded engine plays the platform.
    """

    address: str
    rehearsal: bool

    async def list(self) -> Listing:
        """List what bills there, ours or not, in as few calls as the platform's pages allow."""

    async def changes(self, thing: Billed) -> tuple[tuple[datetime, int], ...]:
        """Give when the number of replicas that answer changed, and to what, oldest first.

        Empty where the platform tells no times.
        """

    async def requests(self, thing: Billed, since: datetime) -> int | None:
        """Count the requests that the platform itself saw since a time; `None` where it does not tell."""

    async def renew(self, thing: Billed, until: datetime) -> None:
        """Write into the platform's own fields until when it may run."""

    async def start(self, thing: Billed, replicas: int, most: int) -> None:
        """Have so many replicas run, whether some do or none does."""

    async def stop(self, thing: Billed) -> None:
        """Have nothing of it run any more; what is not there is fine."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the ledger says of one place.

    Attributes:
        used_at: When the newest request was sent there.
        load: Requests under way.
    """

    used_at: datetime | None = None
    load: Load = field(default_factory=Load)


class Books(Protocol):
    """What the keeper reads and writes in our own store."""

    async def leases(self) -> tuple[Lease, ...]:
        """Read all leases."""

    async def save_leases(self, leases: Sequence[Lease], gone: Collection[str] = ()) -> None:
        """Write leases, and forget those of objects that are gone."""

    async def open_runs(self) -> tuple[Run, ...]:
        """Read what runs, as far as is known."""

    async def save_runs(self, runs: Sequence[Run]) -> None:
        """Write runs; one of the same object and beginning is replaced."""

    async def activity(self, since: datetime, now: datetime) -> Mapping[str, Activity]:
        """Say what was asked of each place since a time, by the name of the shipped model."""

    async def budgets(self) -> tuple[Budget, ...]:
        """Read the budgets."""

    async def spent(self, now: datetime) -> Mapping[str, Spent]:
        """Sum what was spent in the day and month that have begun, by the scopes of budgets."""

    async def shipped(self) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], Mapping[str, Policy]]:
        """Read models, placements, and the policies that were set."""


class Diary(Protocol):
    """Is told what the keeper does, for the journal and the log."""

    async def note(self, model: str | None, action: str, message: str, data: Mapping[str, object]) -> None:
        """Tell one thing."""
