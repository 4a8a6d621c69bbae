"""A feed of a fixed list of pictures: what a benchmark, a test and a preview draw with."""

from __future__ import annotations

from collections.abc import Sequence

from lorry.engine.renderers.port import (
    Abandoned,
    DrawingAbandoned,
    Look,
    Picture,
    Renderer,
    RenderRequest,
    Ticket,
)


class Once:
    """Gives each request once, alike ones together, as many as fit.

    Args:
        renderer: What draws.
        requests: What it draws.
        abandoned: Says whether nobody wants any of it any more.
    """

    def __init__(self, renderer: Renderer, requests: Sequence[RenderRequest], abandoned: Abandoned) -> None:
        self._renderer = renderer
        self._tickets = [Ticket(request, abandoned) for request in requests]
        self._waiting = list(self._tickets)
        self._done: dict[Ticket, Picture] = {}
        self._error: Exception | None = None

    def take(self, beside: Sequence[Ticket]) -> Sequence[Ticket]:
        """Give the next alike ones; see the port."""
        together = [ticket.request for ticket in beside]
        found: list[Ticket] = []
        for ticket in self._waiting:
            first = together[0] if together else ticket.request
            if self._renderer.shape(ticket.request) != self._renderer.shape(first):
                continue
            if together and not self._renderer.fits([*together, ticket.request]):
                break
            together.append(ticket.request)
            found.append(ticket)
        self._waiting = [ticket for ticket in self._waiting if ticket not in found]
        return found

    def step(self, ticket: Ticket, done: int, look: Look) -> None:
        """Nobody watches; see the port."""

    def finish(self, ticket: Ticket, picture: Picture) -> None:
        """Keep a picture; see the port."""
        self._done[ticket] = picture

    def fail(self, ticket: Ticket, error: Exception) -> None:  # noqa: ARG002 - the first is enough
        """Keep the first error; see the port."""
        self._error = self._error or error

    def pictures(self) -> list[Picture]:
        """Give the pictures in the order in which they were asked for.

        Raises:
            Exception: Whatever the first that failed did with.
            DrawingAbandoned: They are not all there, because nobody wanted them any more.
        """
        if self._error is not None:
            raise self._error
        if len(self._done) < len(self._tickets):
            raise DrawingAbandoned
        return [self._done[ticket] for ticket in self._tickets]
