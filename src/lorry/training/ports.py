"""What watching needs from the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class TrainingState(StrEnum):
    """What was done about a training."""

    UNFINISHED = "unfinished"  # only steps of it are there; told once, looked at again with each new file
    SHIPPING = "shipping"  # begun; after a crash it goes on under the same name
    SHIPPED = "shipped"
    FAILED = "failed"  # told once; tried again when its files change
    LEFT = "left"  # it was there before the watching began, and was not wanted


@dataclass(frozen=True, slots=True)
class Training:
    """A training that was seen.

    Attributes:
        key: Which training: its folder, and what its files have in common.
        path: What is shipped: an absolute path.
        mark: How its files looked (`stillness.mark_of`).
        state: What was done about it.
        model: Lorry's name of the model; `None` before it has one.
        message: One sentence for a person.
        at: When, UTC.
    """

    key: str
    path: str
    mark: str
    state: TrainingState
    model: str | None
    message: str
    at: datetime


class Trainings(Protocol):
    """Remembers trainings, over restarts."""

    async def seen(self) -> Mapping[str, Training]:
        """Read all of them, by their keys."""

    async def remember(self, training: Training) -> None:
        """Write one, in place of what was known of the same training."""


class Shipper(Protocol):
    """Ships what was found."""

    async def finished(self, path: Path) -> tuple[bool | None, str]:
        """Say whether weights are the end of their training, as far as that can be told, and why.

        Raises:
            LorryError: They can't be read.
        """

    async def ship(self, path: Path, name: str) -> None:
        """Ship it, or go on with that.

        Raises:
            NameTaken: The name belongs to other weights.
            LorryError: It could not be shipped.
        """
