"""A renderer that draws flat colours step by step, beginning when it is let, and remembers what it did."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from pathlib import Path

from lorry.engine.drawing.port import Needed
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.renderers.port import AdapterUse, Feed, Picture, ReadAdapter, RenderRequest, Ticket
from lorry.errors import AdapterUnusable


class Stepwise(FlatRenderer):
    """Takes more between any two steps; `gate` holds it before each.

    Attributes:
        batches: The prompts of each step.
        refuses: A prompt with which every batch fails, with `error`.
        placed: Keys in the order in which they were placed.
        wide: Pictures of one batch.
    """

    def __init__(self, *, wide: int = 8) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.inside = threading.Event()
        self.batches: list[list[str]] = []
        self.refuses = ""
        self.error: Exception = MemoryError()
        self.placed: list[str] = []
        self.reads: list[str] = []
        self.unloaded: list[str] = []
        self.wide = wide

    def read(self, path: Path) -> ReadAdapter:
        """Refuse the adapter `broken`."""
        self.reads.append(path.stem)
        if path.stem == "broken":
            raise AdapterUnusable("It is broken.")
        return super().read(path)

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Remember it; each takes one byte, so that sizes are numbers of adapters."""
        self.placed.append(key)
        super().place(key, adapter)
        return 1

    def unload(self, key: str) -> None:
        """Remember it."""
        self.unloaded.append(key)
        super().unload(key)

    def shape(self, request: RenderRequest) -> Hashable:
        """Draw together what has the same size; steps may differ."""
        return request.width

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Count."""
        return len(requests) <= self.wide

    def draw(self, feed: Feed) -> None:
        """Step by step."""
        going: dict[Ticket, int] = {}
        while True:
            going |= dict.fromkeys(feed.take(list(going)), 0)
            for ticket in [ticket for ticket in going if ticket.abandoned()]:
                del going[ticket]
            if not going:
                return
            self.inside.set()
            self.gate.wait()
            self.batches.append([ticket.request.prompt for ticket in going])
            if self.refuses in self.batches[-1]:
                raise self.error
            for ticket in list(going):
                self._step(feed, ticket, going)

    def _step(self, feed: Feed, ticket: Ticket, going: dict[Ticket, int]) -> None:
        going[ticket] += 1
        feed.step(ticket, going[ticket], lambda: self._colour(ticket))
        if going[ticket] == ticket.request.steps:
            del going[ticket]
            try:
                feed.finish(ticket, self._colour(ticket))
            except AdapterUnusable as error:
                feed.fail(ticket, error)

    def _colour(self, ticket: Ticket) -> Picture:
        return self._draw(ticket.request)


def order(prompt: str, key: str = "", steps: int = 1, width: int | None = None) -> list[RenderRequest]:
    """Ask for one picture."""
    return [RenderRequest(prompt, 1, steps, adapters=(AdapterUse(key),) if key else (), width=width)]


def adapters(folder: Path, weights: Path, *names: str) -> list[Needed]:
    """Give adapters a file each."""
    found = []
    for name in names:
        path = folder / f"{name}.safetensors"
        path.write_bytes(weights.read_bytes())
        found.append(Needed(name, path))
    return found
