"""The journal's entries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a model's life.

    Attributes:
        model: Lorry's name of the model.
        source: Who says so: one of `lorry.model.event_kinds.Source`.
        subject: What it is about, usually a step (`upload`, `deploy`).
        action: What happened: `started`, `intended`, `created`, `adopted`, `progress`, `state`, `retry`,
            `done`, `failed`.
        message: One sentence for a person.
        at: When, UTC.
        seconds: How long it took, where that makes sense.
        data: Machine-readable facts.
        id: Position in the journal; 0 until it is written.
    """

    model: str
    source: str
    subject: str
    action: str
    message: str
    at: datetime
    seconds: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    id: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give the event as JSON values."""
        return {**asdict(self), "at": self.at.isoformat()}
