"""What an engine is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lorry.engine.drawing.room import Room
from lorry.engine.pace import Pace
from lorry.settings import OWN_BASE


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything that can be chosen about an engine.

    Attributes:
        home: Lorry's home; the engine keeps its own state in `home/engine`.
        threads: Threads of the renderer; `None` leaves it to the runtime.
        api_key: The only key it takes; `None` takes any that is not empty.
        pace: How quickly its slow things get on.
        hardware: The set of hardware that its catalog offers: `local`, or `together` to rehearse prices.
        v1: Whether endpoints of the API's first version can be made; Together refuses them (Together API
            dossier 1.6).
        room: How much memory adapters may take.
        base: Public id of the base model that it draws with.
    """

    home: Path
    threads: int | None = None
    api_key: str | None = None
    pace: Pace = field(default_factory=Pace.at_once)
    hardware: str = "local"
    v1: bool = False
    room: Room = field(default_factory=Room)
    base: str = OWN_BASE

    @property
    def folder(self) -> Path:
        """The folder of the engine's own state."""
        return self.home / "engine"
