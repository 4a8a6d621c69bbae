"""`lorry models`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lorry.cli.options import Common
from lorry.cli.printing import model_lines
from lorry.model.placement import ShippedModel


def models(*, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """List the models, with their state and the proven effect."""
    from lorry.api import Lorry

    async def read() -> Sequence[ShippedModel]:
        async with Lorry(common.settings()) as lorry:
            return await lorry.models()

    found = asyncio.run(read())
    common.out({"models": [entry.as_dict() for entry in found]}, model_lines(found))
