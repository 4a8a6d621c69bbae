"""What a platform answers with: pictures and words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from lorry.model.generation import Picture, PictureOrder, TextOrder, Words


class Painter(Protocol):
    """Pictures from a platform."""

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw the ordered pictures, in order of their seeds."""


class Writer(Protocol):
    """Words from a platform."""

    async def write(self, order: TextOrder) -> Words:
        """Give the answer to a prompt."""

    def stream(self, order: TextOrder) -> AsyncIterator[str | Words]:
        """Give the pieces of an answer as they come, and the whole of it last."""
