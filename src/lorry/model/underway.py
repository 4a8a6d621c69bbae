"""A delivery, and who works on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lorry.model.placement import Placement, PlacementState

#: States in which something is left to do, by a process or by a person.
OPEN = (PlacementState.DELIVERING, PlacementState.RETIRING, PlacementState.HELD, PlacementState.FAILED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a delivery stands, and in whose hands.

    Attributes:
        placement: Where it stands.
        host: Machine of the process that works on it; `None` when nobody does.
        pid: Its process id there.
    """

    placement: Placement
    host: str | None = None
    pid: int | None = None

    @property
    def holder(self) -> str:
        """Say who works on it."""
        if self.host is not None:
            return f"process {self.pid} on {self.host}"
        under_way = (PlacementState.DELIVERING, PlacementState.RETIRING)
        return "nobody" if self.placement.state in under_way else "-"

    def age(self, now: datetime) -> float:
        """Give the seconds since something of it changed."""
        return max(0.0, (now - self.placement.updated_at).total_seconds())

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        place = self.placement
        return {
            "model": place.model,
            "route": place.route,
            "rehearsal": place.rehearsal,
            "state": str(place.state),
            "step": place.step,
            "host": self.host,
            "pid": self.pid,
            "error": place.error,
            "updated_at": place.updated_at.isoformat(),
        }
