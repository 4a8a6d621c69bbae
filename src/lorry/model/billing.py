"""What bills by the hour at a platform, until when it may, and how long it did."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lorry.model.names import OURS


class BilledKind(StrEnum):
    """The kinds of things that bill while they run."""

    DEPLOYMENT = "deployment"
    CONTAINER = "container"
    LEGACY = "v1-endpoint"


@dataclass(frozen=True, slots=True)
class Billed:
    """Something at a platform that bills while it runs, as the platform lists it.

    Attributes:
        id: The platform's id.
        kind: What it is.
        name: Its bare name, without the expiry that it may say.
        parent: Id of the endpoint that it is behind; empty where there is none.
        address: What requests name.
        running: Replicas that answer, and bill.
        wanted: Replicas that there shall be.
        hardware: What a replica runs on.
        cents_per_hour: Price of one replica, US cents; `None` where the platform does not tell.
        said: The platform's own word for its state.
        created_at: When it was made, UTC; `None` where the platform does not tell.
        until: When its lease ends by the platform's own fields; `None` where they say nothing.
        rehearsal: Whether the embedded engine plays the platform.
    """

    id: str
    kind: BilledKind
    name: str
    parent: str = ""
    address: str = ""
    running: int = 0
    wanted: int = 0
    hardware: str = ""
    cents_per_hour: float | None = None
    said: str = ""
    created_at: datetime | None = None
    until: datetime | None = None
    rehearsal: bool = False

    @property
    def ours(self) -> bool:
        """Whether Lorry made it: every name that it gives says so."""
        return self.name.startswith(OURS)

    @property
    def bills(self) -> bool:
        """Whether it bills now, or is about to."""
        return self.running > 0 or self.wanted > 0

    @property
    def free(self) -> bool:
        """Whether it is known to cost nothing, such as what runs on this machine's processor."""
        return self.cents_per_hour == 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when something that bills may run.

    Attributes:
        object: The platform's id of it.
        kind: What it is.
        name: Its bare name.
        parent: Id of the endpoint that it is behind.
        rehearsal: Whether the embedded engine plays the platform.
        model: Lorry's name of the model that it serves; `None` for what several share, or none is known of.
        until: When the lease ends, UTC, as of the keeper's last look; use renews it.
        reason: Why until then, in words.
        granted: Until when it may run whether it is used or not: a person said so, or it was found without a
            lease.
        used_at: When it was last asked for something, as far as is known.
        ready_at: When it first answered since it was started.
        changed_at: When the number of its replicas was last changed by the keeper.
    """

    object: str
    kind: BilledKind
    name: str
    parent: str
    rehearsal: bool
    model: str | None
    until: datetime
    reason: str
    granted: datetime | None = None
    used_at: datetime | None = None
    ready_at: datetime | None = None
    changed_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the lease as JSON values."""
        times = ("until", "granted", "used_at", "ready_at", "changed_at")
        told = asdict(self)
        told.update((name, value.isoformat()) for name in times if (value := told[name]) is not None)
        return {**told, "kind": str(self.kind)}


@dataclass(frozen=True, slots=True)
class Run:
    """Replicas that ran, from when to when, at which price.

    Attributes:
        object: The platform's id of what ran.
        name: Its bare name.
        model: The model that it served; `None` for what several share.
        route: By which route; `None` where no placement is known.
        rehearsal: Whether the embedded engine played the platform, so that nothing is owed.
        hardware: What a replica ran on.
        cents_per_hour: Price of one replica, US cents; `None` where nobody tells.
        replicas: How many.
        begun_at: When they answered first, UTC.
        ended_at: When they stopped; `None` while they run.
    """

    object: str
    name: str
    model: str | None
    route: str | None
    rehearsal: bool
    hardware: str
    cents_per_hour: float | None
    replicas: int
    begun_at: datetime
    ended_at: datetime | None = None

    def minutes(self, since: datetime, until: datetime) -> int:
        """Count the minutes that it bills within a period, as GPUs do: each minute that is begun.

        Together API dossier 0, fact 10.

        Args:
            since: Beginning of the period.
            until: Its end; what still runs counts up to it.
        """
        begun = max(self.begun_at, since)
        ended = until if self.ended_at is None else min(self.ended_at, until)
        return max(0, math.ceil((ended - begun).total_seconds() / 60))

    def cents(self, since: datetime, until: datetime) -> float:
        """Give what it costs within a period, US cents; 0 where the price is not told."""
        return self.minutes(since, until) * self.replicas * (self.cents_per_hour or 0.0) / 60
