"""Whose turn it is: the pictures that wait, in order, and who was served when. Its owner has a lock."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from lorry.engine.drawing.choosing import Waiting, fill, in_turn, whose
from lorry.engine.drawing.jobs import Job, Line, Stage
from lorry.engine.renderers.port import Renderer, Ticket

#: Models whose last turn is remembered.
_MODELS = 10_000


class Turns:
    """The order of what waits.

    Args:
        line: What waits.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._served: dict[str, int] = {}
        self._turn = itertools.count()

    def order(self, renderer: Renderer) -> list[Waiting]:
        """Put what waits in turn."""
        waiting = [
            Waiting((job, number), whose(request := job.tickets[number].request), renderer.shape(request))
            for job, number in self._line.waiting()
        ]
        return in_turn(waiting, self._served)

    def jobs(self, order: Sequence[Waiting]) -> list[Job]:
        """List the jobs of an order, each once."""
        return list(dict.fromkeys(_at(each)[0] for each in order))

    def next(
        self, renderer: Renderer, order: Sequence[Waiting], beside: Sequence[Ticket], most: int
    ) -> list[tuple[Job, int]]:
        """Choose what is begun now: of what is ready, in turn, as many as fit.

        Args:
            renderer: Says what fits.
            order: What waits.
            beside: What is being drawn already.
            most: Pictures at once.
        """
        drawn = [ticket.request for ticket in beside]

        def fits(more: Sequence[Waiting]) -> bool:
            requests = drawn + [job.tickets[number].request for job, number in map(_at, more)]
            return len(requests) <= most and renderer.fits(requests)

        ready = [each for each in order if _at(each)[0].stage is Stage.READY]
        return [_at(each) for each in fill(ready, fits, [renderer.shape(request) for request in drawn])]

    def begin(self, job: Job, number: int) -> Ticket:
        """Note that a picture is being drawn, and that its model had its turn."""
        ticket = self._line.begin(job, number)
        if len(self._served) > _MODELS:
            self._served.clear()
        self._served[whose(ticket.request)] = next(self._turn)
        return ticket


def _at(each: Waiting) -> tuple[Job, int]:
    place: Any = each.place
    return place[0], place[1]
