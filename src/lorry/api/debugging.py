"""What is known about one model, for whoever has to find out what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lorry.errors import ModelNotFound
from lorry.journal import Status, status_of
from lorry.model.billing import Lease
from lorry.model.events import Event
from lorry.model.names import parse_name
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy
from lorry.wiring import House

#: Attempts to generate that are told of, the newest.
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known about a model.

    Attributes:
        name: Its name.
        model: What was shipped; `None` when it was retired.
        placement: Where it is.
        status: Where its delivery stands.
        policy: How requests for it are routed.
        events: Its journal, oldest first.
        leases: Until when what it runs on may run.
        attempts: The newest attempts to generate with it, newest first, as the ledger has them.
    """

    name: str
    model: TrainedModel | None
    placement: Placement | None
    status: Status | None
    policy: Policy
    events: Sequence[Event]
    leases: Sequence[Lease]
    attempts: Sequence[Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "name": self.name,
            "model": self.model.as_dict() if self.model else None,
            "placement": self.placement.as_dict() if self.placement else None,
            "status": self.status.as_dict() if self.status else None,
            "policy": self.policy.as_dict(),
            "events": [event.as_dict() for event in self.events],
            "leases": [lease.as_dict() for lease in self.leases],
            "attempts": [dict(row) for row in self.attempts],
        }


class DebugVerbs:
    """Put together what is known; `Lorry` has this verb and the rest."""

    _house: House

    async def debug(self, name: str) -> Case:
        """Put together all that is known about a model, also about one that was retired.

        Args:
            name: The model's name.

        Raises:
            ModelNotFound: Nothing is known about it here.
        """
        store = await self._house.store()
        parse_name(name)
        model, placement = await store.model(name), await store.placement(name)
        events = await store.read(name)
        if model is None and not events:
            raise ModelNotFound(f"Nothing is known about a model {name!r} here.")
        objects = set(asdict(placement.ids).values()) if placement else set()
        leases = await store.books.leases()
        return Case(
            name,
            model,
            placement,
            status_of(placement, events) if placement else None,
            await store.policy(name),
            events,
            [lease for lease in leases if lease.model == name or lease.object in objects],
            await store.ledger.of_model(name, _ATTEMPTS),
        )
