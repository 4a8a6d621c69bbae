"""The form of a trainer's folder, with everything that is to be found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorry.weights.files.listing import MemoryListing


@dataclass(frozen=True, slots=True)
class Tree:
    """A trainer's folder, the header of the file that is meant, and everything that is to be found."""

    trainer: str
    content: Mapping[str, str]
    metadata: Mapping[str, str]
    chosen: str
    trigger: str | None = None
    bases: tuple[str, ...] = ()
    rank: tuple[float | None, float | None] = (None, None)
    resolution: str | None = None
    steps: tuple[int | None, int | None] = (None, None)
    finished: bool | None = None
    samples: tuple[tuple[str, str | None], ...] = ()

    @property
    def listing(self) -> MemoryListing:
        """The folder as a listing."""
        return MemoryListing("run", {path: text.encode() for path, text in self.content.items()})
