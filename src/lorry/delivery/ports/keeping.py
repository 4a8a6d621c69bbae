"""What a delivery keeps, publishes and is told: the Hub, intents, the journal, records, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from lorry.delivery.ports.hosting import UploadFile
from lorry.model.events import Event
from lorry.model.placement import Placement, TrainedModel


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published about a model: its files, and the facts for its card."""

    repo: str
    files: tuple[UploadFile, ...]
    base: str
    trigger: str | None
    digest: str
    private: bool = True


@dataclass(frozen=True, slots=True)
class Published:
    """Where a publication lies: `owner/name` and the commit that holds it."""

    repo: str
    commit: str
    url: str


class Publisher(Protocol):
    """The Hugging Face Hub, as a delivery uses it."""

    async def publish(self, publication: Publication) -> Published:
        """Bring a repository to what is given, creating it when it is missing; doing it again is free."""

    async def withdraw(self, repo: str) -> None:
        """Delete a repository; one that is not there is fine."""


class Intents(Protocol):
    """What we are about to create, written down before we ask for it."""

    async def open(self, key: str, what: Mapping[str, Any]) -> None:
        """Write an intent; the same key again is fine."""

    async def close(self, key: str, result: Mapping[str, Any]) -> None:
        """Note what came of an intent."""

    async def all(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Read the intents whose key begins with `prefix`: what was meant and what came of it."""

    async def drop(self, prefix: str) -> None:
        """Forget all intents whose key begins with `prefix`."""


class Journal(Protocol):
    """The record of what happened, in order."""

    async def write(self, event: Event) -> None:
        """Append an event durably."""

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""


class Records(Protocol):
    """The models and placements that Lorry remembers."""

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model by name."""

    async def models(self) -> tuple[TrainedModel, ...]:
        """Read all models, by name."""

    async def save_model(self, model: TrainedModel, placement: Placement | None = None) -> None:
        """Write a model, and its placement with it: both or neither; they replace what was there."""

    async def placement(self, model: str) -> Placement | None:
        """Read the placement of a model."""

    async def placements(self) -> tuple[Placement, ...]:
        """Read all placements, by model."""

    async def save_placement(self, placement: Placement) -> None:
        """Write a placement, replacing what was there."""

    async def forget(self, model: str) -> None:
        """Delete a model and its placement; the journal stays."""


#: Time as a port: every timestamp of a delivery comes from here.
Now = Callable[[], datetime]
