"""What all services of one engine share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lorry.engine.blobs import Blobs
from lorry.engine.clock import Clock, WallClock
from lorry.engine.config import EngineConfig
from lorry.engine.documents import Documents, Shelf
from lorry.engine.together.bases import Catalog, catalog

_AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class AheadRecord:
    """By how many seconds the engine's time is ahead of the wall's."""

    id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Works:
    """The state and the time of one engine.

    Attributes:
        config: What it was told.
        clock: Its time.
        documents: Its records.
        blobs: Its files: uploaded weights and the Hub's contents.
        pictures: The pictures it has answered with, kept for a while.
        catalog: What it serves, and on which hardware.
    """

    config: EngineConfig
    clock: Clock
    documents: Documents
    blobs: Blobs
    pictures: Blobs
    catalog: Catalog

    @property
    def revisions(self) -> Path:
        """The folder in which each revision's files lie under their own names."""
        return self.config.folder / "revisions"

    def advance(self, seconds: float) -> None:
        """Set the time ahead, for this process and for those that open the same state later."""
        shelf = Shelf(self.documents, "time", AheadRecord)
        with self.documents.transaction():
            before = shelf.get(_AHEAD)
            shelf.put(AheadRecord(_AHEAD, (before.seconds if before else 0.0) + seconds))
        self.clock.advance(seconds)

    def close(self) -> None:
        """Close what is open."""
        self.documents.close()


def open_works(config: EngineConfig, clock: Clock | None = None) -> Works:
    """Open an engine's state, making it when missing.

    Args:
        config: What the engine was told.
        clock: Its time; the wall's when omitted.

    Raises:
        OptionInvalid: There is no such hardware.
        DiskFull: No space is left.
        NotWritable: The home can't be written.
    """
    documents = Documents(config.folder / "engine.sqlite")
    ahead = Shelf(documents, "time", AheadRecord).get(_AHEAD)
    return Works(
        config=config,
        clock=clock or WallClock(ahead.seconds if ahead else 0.0),
        documents=documents,
        blobs=Blobs(config.folder / "blobs"),
        pictures=Blobs(config.folder / "pictures"),
        catalog=catalog(config.hardware, config.base),
    )
