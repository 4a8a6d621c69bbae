"""What the engine needs of whatever turns requests into pictures, in this process or on many machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lorry.engine.renderers.port import Canvas, LoadedAdapter, Look, Picture, RenderRequest


@dataclass(frozen=True, slots=True)
class Needed:
    """An adapter that a request draws with: the key it is loaded under, and its file."""

    key: str
    path: Path


#: Hears of each step of each picture: its number, the steps that are done, and how it looks by now.
Watch = Callable[[int, int, Look], None]


class ImageServing(Protocol):
    """Turns requests into pictures, and keeps adapters ready for them."""

    def warm_up(self) -> None:
        """Open what draws in the background, so that the first request need not wait for it."""
        ...

    def close(self) -> None:
        """End what is being drawn, and take nothing more."""
        ...

    @property
    def canvas(self) -> Canvas:
        """Which pictures it draws; opens what draws.

        Raises:
            LorryError: It can't be opened.
        """
        ...

    def keep(self, needed: Needed) -> LoadedAdapter:
        """Load a deployed adapter, and hold it close until `release`.

        Raises:
            LorryError: What draws can't be opened, or can't take the adapter.
        """
        ...

    def release(self, key: str) -> None:
        """Let go of an adapter; one that is not loaded is fine."""
        ...

    def visit(self, needed: Needed) -> LoadedAdapter:
        """Load an adapter for single requests; it stays until the room is needed.

        Raises:
            LorryError: What draws can't be opened, or can't take the adapter.
        """
        ...

    def loaded(self) -> frozenset[str]:
        """Name the adapters that are in memory now."""
        ...

    async def render(
        self, requests: Sequence[RenderRequest], needed: Sequence[Needed] = (), watch: Watch | None = None
    ) -> list[Picture]:
        """Draw pictures when their turn comes; called off, they are not drawn, or no further.

        Args:
            requests: What to draw.
            needed: Adapters that must be loaded for it.
            watch: Hears of each step, in another thread.

        Raises:
            EngineBusy: Too much waits already.
            LorryError: What draws can't be opened, an adapter can't be taken, or a picture can't be drawn.
        """
        ...

    def metrics(self) -> bytes:
        """Give what was measured, in Prometheus's text format."""
        ...
