"""What a delivery would do on one route, before it does anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Price:
    """What a route costs.

    Attributes:
        cents: US cents for one `per`; `None` when nobody publishes it.
        per: `replica-hour`, `megapixel`, `million tokens`.
        source: Where the figure comes from, and of when it is.
        note: What else to know.
    """

    cents: float | None
    per: str
    source: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """Say it in words."""
        if self.cents is None:
            return f"no price per {self.per} is published"
        if self.cents == 0:
            return "free"
        digits = 2 if self.cents >= 1 else 4
        return f"${self.cents / 100:.{digits}f} per {self.per}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a route would refuse: a stable code, a sentence, and the next command where there is one."""

    code: str
    sentence: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What shipping a model by one route would do.

    Attributes:
        route: Which route.
        runs: Whether it would end in a ready placement, as far as can be told.
        creates: What would be made, each in a phrase.
        finds: What exists already and would be used.
        price: What it costs; `None` when nothing of it bills.
        obstacles: What would be refused, and why.
        asked: What was asked of the platform for this (`catalogue`, `configurations`, `validateOnly` …);
            empty when nobody could be asked.
        target: The hardware or model that it would run on.
        rehearsal: Whether the embedded engine would play the platform.
    """

    route: str
    runs: bool
    creates: tuple[str, ...] = ()
    finds: tuple[str, ...] = ()
    price: Price | None = None
    obstacles: tuple[Obstacle, ...] = ()
    asked: tuple[str, ...] = ()
    target: str | None = None
    rehearsal: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give the forecast as JSON values."""
        return asdict(self)
