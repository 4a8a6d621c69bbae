"""Waiting for a model that is asleep, as long as whoever asks for it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from lorry.errors import ModelStarting
from lorry.generation.asking import Ask, Form
from lorry.generation.gateway.attempts import Asleep, Attempt
from lorry.generation.gateway.sink import Request
from lorry.generation.gateway.trying import Tries
from lorry.generation.gateway.waking import Start, Waker
from lorry.model.serving import HOLD

_T = TypeVar("_T")

#: Seconds that a client which says nothing is held while a model starts: official clients wait 60 s.
HOLD_SECONDS = 45.0
#: Starts that one request waits for: a place that falls asleep again at once is not waited for.
_MOST_STARTS = 2


class Patience:
    """Tries places, and starts what is asleep.

    Args:
        tries: Finds and asks places.
        waker: Starts them.
    """

    def __init__(self, tries: Tries, waker: Waker) -> None:
        self.tries = tries
        self.waker = waker

    async def run(
        self, request: Request, ask: Ask, trial: Callable[[Attempt], Awaitable[_T]]
    ) -> tuple[_T, Attempt]:
        """Try places until one answers, waiting for one that is asleep.

        Args:
            request: What came.
            ask: What was asked for.
            trial: Asks one place.

        Raises:
            LorryError: None answered, or none can be started.
            Asleep: It does not start within the time that the caller waits.
        """
        for _ in range(_MOST_STARTS):
            try:
                return await self.tries.run(request, ask, trial, self.waker.woken)
            except Asleep as error:
                if not await self.waker.awake(error.place, self.seconds(request, ask)):
                    raise
        return await self.tries.run(request, ask, trial, self.waker.woken)

    def seconds(self, request: Request, ask: Ask) -> float:
        """Say how long a caller waits for a start: what it says, or what its form is used to."""
        if request.wait is not None:
            return request.wait
        if request.respond_async:
            return 0.0
        policy = self.tries.directory.now.policy(ask.model)
        holds = ask.form is not Form.GENERATE or policy.asleep == HOLD
        return HOLD_SECONDS if holds else 0.0

    async def starting(self, asleep: Asleep) -> ModelStarting:
        """Say that a model was asleep, that it is being started, and how long that usually takes."""
        start = self.waker.wake(asleep.place)
        await start.learned.wait()
        return starting(asleep, start)


def starting(asleep: Asleep, start: Start) -> ModelStarting:
    """Say that a model was asleep, that it is being started, and how long that usually takes."""
    expected = start.expected()
    usually = f" It usually answers after {expected.p50:.0f} s." if expected else ""
    left = max(1.0, expected.p50 - start.running_for()) if expected else 10.0
    return ModelStarting(
        f"{asleep.place.model.name} was asleep ({asleep.place.route}) and is being started.{usually}",
        evidence={
            "place": asleep.place.key,
            "stage": start.stage,
            "seconds": round(start.running_for(), 1),
            "expected": expected.as_dict() if expected else None,
            "retry_after": left,
        },
    )
