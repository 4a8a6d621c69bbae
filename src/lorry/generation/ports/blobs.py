"""Where pictures and long answers are kept: by what they are, so that the same one is kept once."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Blobs(Protocol):
    """Contents by their SHA-256."""

    async def put(self, content: bytes, digest: str) -> None:
        """Keep a content durably, by its SHA-256, hex.

        Raises:
            StorageError: There is no room, or no right.
        """

    async def get(self, digest: str) -> bytes | None:
        """Read a content; `None` when it is not kept any more."""

    async def forget(self, before: datetime) -> int:
        """Forget what was kept last before a time; say how many."""
