"""What opening a source gives, whatever the source is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lorry.model.report import Finding
from lorry.weights.files.listing import Listing
from lorry.weights.files.source import ByteSource, FileSource
from lorry.weights.trainers.choice import Choice


@dataclass(frozen=True, slots=True)
class Opened:
    """Weights whose bytes can be read while the block lasts.

    Attributes:
        path: What the user named, without secrets of a link.
        file: The weights file, as it is shown.
        source: Its bytes; of something far away, only the beginning (`source.reach`).
        listing: What lies around it.
        inside: Its path in the listing.
        findings: What is noticed on the way.
        deep: Whether its numbers can be read; far away they are not fetched.
        local: The file on this machine; `None` in an archive and far away.
        disk: What the user has on this machine, file or archive, to ask whether it changed meanwhile.
        revision: The Hub's commit.
        digest: SHA-256 of the whole file, hex, where the Hub tells it.
        choice: Why this file was taken, where it had to be chosen.
        chosen: The choice with all that was left out; `None` where the user named the file.
        another: Opens one more file of the listing (a shard, a pair's other half) for as long as this one.
        late: Gives what went wrong since, while the listing was read.
    """

    path: str
    file: str
    source: ByteSource
    listing: Listing
    inside: str
    another: Callable[[str], ByteSource] = field(repr=False)
    findings: tuple[Finding, ...] = ()
    deep: bool = True
    local: Path | None = None
    disk: FileSource | None = field(default=None, repr=False)
    revision: str | None = None
    digest: str | None = None
    chosen: Choice | None = None
    late: Callable[[], tuple[Finding, ...]] = field(default=tuple, repr=False)

    @property
    def choice(self) -> str | None:
        """Why this file was taken."""
        return self.chosen.why if self.chosen else None


@dataclass(frozen=True, slots=True)
class Unopened:
    """What can't be opened.

    Attributes:
        path: What the user named, without secrets of a link.
        file: The file concerned, as far as it is known.
        findings: Why.
        size: Bytes of the file, where they are known.
        revision: The Hub's commit.
    """

    path: str
    file: str
    findings: tuple[Finding, ...]
    size: int = 0
    revision: str | None = None
