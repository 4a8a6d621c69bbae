"""What a proof compares, whether it is pictures or words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Answer = TypeVar("Answer", bytes, str)


@dataclass(frozen=True, slots=True)
class Trial(Generic[Answer]):
    """How a route is asked with the adapter and without it; each takes a prompt and a seed.

    Attributes:
        acting: Asks with the adapter.
        without: Asks the base alone; `None` where nothing answers without the adapter.
    """

    acting: Callable[[str, int], Awaitable[Answer]]
    without: Callable[[str, int], Awaitable[Answer]] | None


@dataclass(frozen=True, slots=True)
class Evidence(Generic[Answer]):
    """One measurement: the figures, and the two answers.

    Attributes:
        prompt: What was asked.
        seed: With which seed.
        difference: Between the answers with and without the adapter.
        noise: Between two answers without it.
        threshold: What the difference has to exceed.
        without: The answer without the adapter; `None` where nothing answers without it.
        acting: The answer with it.
    """

    prompt: str
    seed: int
    difference: float
    noise: float
    threshold: float
    without: Answer | None
    acting: Answer

    @property
    def passed(self) -> bool:
        """Whether the adapter acts; without a comparison an answer is all that can be asked for."""
        return self.without is None or self.difference > self.threshold
