"""The loop of renderers that draw whole pictures, one after another or a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

from lorry.engine.renderers.port import Feed, Picture, RenderRequest
from lorry.errors import AdapterUnusable


def one_by_one(feed: Feed, draw: Callable[[RenderRequest], Picture]) -> None:
    """Draw what a feed gives, each picture by itself.

    Args:
        feed: What to draw, and where to bring it.
        draw: Draws one picture; `AdapterUnusable` is that picture's alone.
    """
    while tickets := feed.take(()):
        for ticket in tickets:
            if ticket.abandoned():
                continue
            try:
                picture = draw(ticket.request)
            except AdapterUnusable as error:
                feed.fail(ticket, error)
            else:
                feed.finish(ticket, picture)
