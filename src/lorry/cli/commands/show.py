"""`lorry show`."""

from __future__ import annotations

import asyncio

from lorry.cli.options import Common
from lorry.cli.printing import shipped_lines
from lorry.model.placement import ShippedModel


def show(name: str, /, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show one model: where it is, what the platform calls it, its proof and its last error.

    Args:
        name: The model's name.
    """
    from lorry.api import Lorry

    async def read() -> ShippedModel:
        async with Lorry(common.settings()) as lorry:
            return await lorry.show(name)

    entry = asyncio.run(read())
    common.out(entry.as_dict(), shipped_lines(entry))
