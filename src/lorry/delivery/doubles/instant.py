"""A durable runtime that keeps answers in memory and does not pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]


@dataclass(slots=True)
class InstantDurable:
    """`lorry.delivery.workflow.Durable` without a database: keeps each answer, and counts the pauses.

    Attributes:
        answers: Name and answer of every step that ended, in order. Started again with the answers of an
            earlier run, it gives those first and runs what is left, as a durable runtime does.
        pauses: Every pause that was asked for, in seconds.
    """

    answers: list[tuple[str, Values]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    _place: int = 0

    async def step(self, name: str, act: Callable[[], Awaitable[Values]]) -> Values:
        """Give a kept answer, or run the step and keep its answer."""
        if self._place == len(self.answers):
            self.answers.append((name, await act()))
        known, answer = self.answers[self._place]
        if known != name:
            raise AssertionError(f"The workflow asked for {name} where it had asked for {known}.")
        self._place += 1
        return answer

    async def sleep(self, seconds: float) -> None:
        """Note a pause."""
        self.pauses.append(seconds)
