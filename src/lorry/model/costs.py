"""What was asked and what it cost, as nouns; `lorry.spend.costs` puts them together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Bought:
    """What requests of one model cost on one route in one day.

    Attributes:
        day: ISO date, UTC.
        model: The model that answered, or that was asked for where none did.
        owner: Whose it is.
        route: By which route.
        rehearsal: Whether the embedded engine played the platform, so that nothing is owed.
        requests: How many there were.
        minutes: Minutes of the day in which there was at least one.
        cents: What they cost by the request, US cents.
    """

    day: str
    model: str
    owner: str | None
    route: str
    rehearsal: bool
    requests: int
    minutes: int
    cents: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost in a period.

    Attributes:
        key: What: a model, an owner, a route or a day.
        hours_cents: For replicas, by the hour, US cents.
        requests_cents: For requests.
        running_cents: What it costs an hour now.
        minutes: Replica minutes billed.
        idle_minutes: Those in which nothing was asked.
        requests: Requests.
        month_cents: What the month comes to, if what runs runs on and requests go on as they came.
        untold: Whether some of what ran has no published price.
    """

    key: str
    hours_cents: float = 0.0
    requests_cents: float = 0.0
    running_cents: float = 0.0
    minutes: float = 0.0
    idle_minutes: float = 0.0
    requests: float = 0.0
    month_cents: float = 0.0
    untold: bool = False

    @property
    def cents(self) -> float:
        """All of it."""
        return self.hours_cents + self.requests_cents

    @property
    def idle_share(self) -> float:
        """Share of the billed minutes in which nothing was asked."""
        return self.idle_minutes / self.minutes if self.minutes else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        numbers = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }
        return {**numbers, "cents": round(self.cents, 4), "idle_share": round(self.idle_share, 4)}


@dataclass(frozen=True, slots=True)
class Report:
    """Costs of a period.

    Attributes:
        since: Its beginning, UTC.
        until: Its end.
        by: What each row is.
        rows: The costs, the dearest first; days in order.
        total: All together.
        rehearsed_cents: What rehearsals would have cost; nobody owes it, and nothing else counts it.
    """

    since: datetime
    until: datetime
    by: str
    rows: tuple[Cost, ...]
    total: Cost
    rehearsed_cents: float

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "by": self.by,
            "rows": [row.as_dict() for row in self.rows],
            "total": self.total.as_dict(),
            "rehearsed_cents": round(self.rehearsed_cents, 4),
        }
