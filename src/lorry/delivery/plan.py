"""What a route makes of a delivery: its steps, and the few questions that are asked outside of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lorry.delivery.run import Done, Pending, Run, Step
from lorry.model.forecast import Forecast, Price


@dataclass(frozen=True, slots=True)
class Plan:
    """How one kind of model is taken to one route and away from it.

    Attributes:
        ship: The steps from a checked file to a ready placement.
        retire: The steps from whatever there is to nothing.
        begin: Says before anything is made that it can't be done, and what it will cost.
        serves: Says whether the platform still runs what the placement names.
        halt: Stops what would bill without use, after a failure.
        forecast: Says what shipping would do, without doing it.
    """

    ship: tuple[Step, ...]
    retire: tuple[Step, ...]
    begin: Callable[[Run], Awaitable[Price | None]]
    serves: Callable[[Run], Awaitable[bool]]
    halt: Callable[[Run], Awaitable[Done | Pending]]
    forecast: Callable[[Run], Awaitable[Forecast]]
