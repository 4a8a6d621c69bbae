"""The requests that are on their way, and what is known of each of their pictures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from enum import Enum

from lorry.engine.drawing.port import Needed, Watch
from lorry.engine.renderers.port import Picture, RenderRequest, Ticket


class Stage(Enum):
    """How far the adapters of a job are."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    ENDED = "ended"


@dataclass(eq=False, slots=True)
class Job:
    """The pictures of one request.

    Attributes:
        needed: Adapters that must be on the device for it.
        watch: Hears of each step.
        tickets: Its pictures, by number.
        answer: All of them, once they are drawn.
        stage: How far its adapters are.
        drawn: Pictures that are drawn already, by number.
        asked: When it was asked for, seconds of a clock that only runs forward.
    """

    needed: tuple[Needed, ...]
    watch: Watch | None
    answer: Future[list[Picture]] = field(default_factory=Future)
    stage: Stage = Stage.WAITING
    drawn: dict[int, Picture] = field(default_factory=dict)
    asked: float = field(default_factory=time.monotonic)
    tickets: list[Ticket] = field(default_factory=list)

    @classmethod
    def of(cls, requests: Sequence[RenderRequest], needed: Sequence[Needed], watch: Watch | None) -> Job:
        """Make the job of a request."""
        job = cls(tuple(needed), watch)
        job.tickets = [Ticket(request, job.answer.done) for request in requests]
        return job

    def finish(self, number: int, picture: Picture) -> bool:
        """Take a picture; say whether it was the last."""
        self.drawn[number] = picture
        return len(self.drawn) == len(self.tickets)

    def give(self) -> None:
        """Give whoever asked what was drawn; once called off, they get nothing."""
        with contextlib.suppress(InvalidStateError):
            self.answer.set_result([self.drawn[each] for each in range(len(self.tickets))])

    def fail(self, error: BaseException) -> None:
        """Tell whoever asked what went wrong; once called off, they hear nothing."""
        with contextlib.suppress(InvalidStateError):
            self.answer.set_exception(error)


class Line:
    """The jobs that have not ended, the oldest first. Not safe by itself: its owner has a lock."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.begun: dict[Ticket, tuple[Job, int]] = {}

    def waiting(self) -> list[tuple[Job, int]]:
        """List the pictures that nobody draws yet."""
        return [
            (job, number)
            for job in self.jobs
            for number, ticket in enumerate(job.tickets)
            if number not in job.drawn and ticket not in self.begun
        ]

    def begin(self, job: Job, number: int) -> Ticket:
        """Note that a picture is being drawn."""
        ticket = job.tickets[number]
        self.begun[ticket] = job, number
        return ticket

    def leave(self, job: Job) -> None:
        """Take out a job that has ended."""
        self.jobs.remove(job)
        for ticket in job.tickets:
            self.begun.pop(ticket, None)
