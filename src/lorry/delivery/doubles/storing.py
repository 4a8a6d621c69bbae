"""The store, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lorry.model.event_kinds import undeclared
from lorry.model.events import Event
from lorry.model.placement import Placement, TrainedModel


class MemoryStore:
    """`Records`, `Journal` and `Intents` of `lorry.delivery.ports`, in memory."""

    def __init__(self) -> None:
        self._models: dict[str, TrainedModel] = {}
        self._placements: dict[str, Placement] = {}
        self._events: list[Event] = []
        self._intents: dict[str, dict[str, Any]] = {}

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model by name."""
        return self._models.get(name)

    async def models(self) -> tuple[TrainedModel, ...]:
        """Read all models, by name."""
        return tuple(self._models[name] for name in sorted(self._models))

    async def save_model(self, model: TrainedModel, placement: Placement | None = None) -> None:
        """Write a model, and its placement with it."""
        self._models[model.name] = model
        if placement is not None:
            self._placements[model.name] = placement

    async def placement(self, model: str) -> Placement | None:
        """Read the placement of a model."""
        return self._placements.get(model)

    async def placements(self) -> tuple[Placement, ...]:
        """Read all placements, by model."""
        return tuple(self._placements[name] for name in sorted(self._placements))

    async def save_placement(self, placement: Placement) -> None:
        """Write a placement, replacing what was there."""
        self._placements[placement.model] = placement

    async def forget(self, model: str) -> None:
        """Delete a model and its placement; the journal stays."""
        self._models.pop(model, None)
        self._placements.pop(model, None)

    async def write(self, event: Event) -> None:
        """Append an event; one that no reference page tells of is a fault of whoever wrote it."""
        strange = undeclared(event)
        assert strange is None, f"declare this in lorry.model.event_kinds: {strange}"  # noqa: S101
        self._events.append(replace(event, id=len(self._events) + 1))

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""
        return tuple(event for event in self._events if event.model == model and event.id > after)

    async def read_steps(self) -> tuple[Event, ...]:
        """Read what began, adopted, ended and resumed steps of all models, oldest first."""
        actions = ("started", "adopted", "done", "failed")
        return tuple(event for event in self._events if event.action in actions or event.subject == "resume")

    async def open(self, key: str, what: Mapping[str, Any]) -> None:
        """Write an intent; the same key again replaces what was meant."""
        self._intents[key] = {"what": dict(what), "result": None}

    async def close(self, key: str, result: Mapping[str, Any]) -> None:
        """Note what came of an intent."""
        if key in self._intents:
            self._intents[key]["result"] = dict(result)

    def intents(self) -> list[dict[str, Any]]:
        """Give what every intent means and what came of it, without waiting."""
        return list(self._intents.values())

    async def drop(self, prefix: str) -> None:
        """Forget all intents whose key begins with `prefix`."""
        for key in [key for key in self._intents if key.startswith(prefix)]:
            del self._intents[key]

    async def all(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Read the intents whose key begins with `prefix`."""
        return {key: intent for key, intent in self._intents.items() if key.startswith(prefix)}
