"""How much memory adapters may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """The sizes of the tiers.

    Attributes:
        device: Bytes where they are drawn with.
        host: Bytes in this process's memory, as they were read.
        disk: Bytes of files that single requests had brought.
    """

    device: int = 512 << 20
    host: int = 1 << 30
    disk: int = 20 << 30
