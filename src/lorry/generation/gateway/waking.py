"""Starting what is asleep: once for all who ask for it, with what is learned from each start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from lorry.errors import DeploymentFailed, LorryError, NotReady
from lorry.generation.gateway.expecting import ALL, Expected, expected
from lorry.generation.ports import Starts
from lorry.model.serving import REFUSE, Place

#: Seconds between two looks at a place that is starting.
LOOK_SECONDS = 1.0
#: Seconds after which a start is given up: a large model on cold hardware takes some ten minutes.
LONGEST_START = 1800.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How a place that is starting looks.

    Attributes:
        ready: Whether it answers now.
        stage: Which of `expecting.STAGES` it is in.
        said: The platform's own word for its state.
        failed: Why it will never answer; `None` while it may.
    """

    ready: bool
    stage: str
    said: str = ""
    failed: LorryError | None = None


class Sleeper(Protocol):
    """The platform's part of waking a place."""

    async def start(self, place: Place) -> None:
        """Ask the platform to start it."""

    async def look(self, place: Place) -> Seen:
        """Look how far it is."""


@dataclass(slots=True)
class Start:
    """A start under way.

    Attributes:
        place: What starts.
        began: When, seconds of the gateway's clock.
        clock: That clock.
        stage: Where it stands.
        history: What earlier starts took.
        stages: Seconds by stage, as far as it has come.
        task: The work.
        learned: Set once `history` is known.
    """

    place: Place
    began: float
    clock: Callable[[], float]
    stage: str = "accepted"
    history: list[tuple[str, str, float]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    learned: asyncio.Event = field(default_factory=asyncio.Event)

    def running_for(self) -> float:
        """Give the seconds since it began."""
        return self.clock() - self.began

    def expected(self) -> Expected | None:
        """Say how long it will take in all."""
        return expected(self.history, self.place.key)


class Waker:
    """Starts places, each once at a time.

    Args:
        sleeper: The platform's part.
        starts: What earlier starts took.
        clock: Seconds that only grow.
        rest: Waits for so many seconds.
        refuses: Says whether a place's policy forbids that requests start it.
        require: Raises BudgetSpent where what a place costs has no budget left.
    """

    def __init__(
        self,
        sleeper: Sleeper,
        starts: Starts,
        clock: Callable[[], float],
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refuses: Callable[[Place], str] = lambda _place: "",
        require: Callable[[Place], None] = lambda _place: None,
    ) -> None:
        self._sleeper = sleeper
        self._starts = starts
        self._clock = clock
        self._rest = rest
        self._asleep = refuses
        self._require = require
        self.under_way: dict[str, Start] = {}

    def woken(self, place: Place) -> None:
        """Have a place started that was found asleep, unless its policy forbids it."""
        if self._asleep(place) != REFUSE:
            self.wake(place)

    def wake(self, place: Place) -> Start:
        """Have a place started; one that is starting already goes on.

        Raises:
            NotReady: Its policy forbids that requests start it.
            BudgetSpent: Its budget is gone.
        """
        if self._asleep(place) == REFUSE:
            raise NotReady(
                f"{place.model.name} is asleep, and its policy forbids that requests start it.",
                fix=f"Run `lorry resume {place.key}` to start it.",
            )
        if place.key not in self.under_way:
            self._require(place)
            start = Start(place, self._clock(), self._clock)
            start.task = asyncio.get_running_loop().create_task(self._wake(start), name=f"wake {place.key}")
            start.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self.under_way[place.key] = start
        return self.under_way[place.key]

    async def awake(self, place: Place, seconds: float) -> bool:
        """Wait for a place to answer; say whether it does.

        Args:
            place: What is asleep.
            seconds: How long to wait.

        Raises:
            LorryError: It can't be started.
        """
        start = self.wake(place)
        assert start.task is not None  # noqa: S101 - `wake` gave it one
        done, _ = await asyncio.wait({start.task}, timeout=max(0.0, seconds))
        if not done:
            return False
        start.task.result()
        return True

    async def close(self) -> None:
        """Stop to look at what is starting; it goes on at the platform."""
        tasks = [start.task for start in self.under_way.values() if start.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wake(self, start: Start) -> None:
        place = start.place
        try:
            try:
                start.history = await self._starts.known(place.route, rehearsal=place.embedded)
            finally:
                start.learned.set()
            await self._sleeper.start(place)
            await self._until_ready(start)
            start.stages[ALL] = start.running_for()
            await self._starts.took(place.key, place.route, rehearsal=place.embedded, stages=start.stages)
        finally:
            self.under_way.pop(place.key, None)

    async def _until_ready(self, start: Start) -> None:
        since = self._clock()
        while start.running_for() < LONGEST_START:
            seen = await self._sleeper.look(start.place)
            if seen.failed is not None:
                raise seen.failed
            if seen.stage != start.stage or seen.ready:
                start.stages[start.stage] = self._clock() - since
                start.stage, since = seen.stage, self._clock()
            if seen.ready:
                return
            await self._rest(LOOK_SECONDS)
        raise DeploymentFailed(
            f"{start.place.model.name} did not start within {LONGEST_START / 60:.0f} minutes.",
            fix=f"Run `lorry show {start.place.key}` and `lorry events {start.place.key}`.",
        )
