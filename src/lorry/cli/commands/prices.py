"""`lorry prices`."""

from __future__ import annotations

import asyncio

from lorry.cli.options import Common
from lorry.model.prices import HardwarePrice, TokenPrice


def prices(*, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show what hardware costs by the hour, pictures by the megapixel, words by the token.

    The platform is asked where it can be; otherwise the figures are from a table with its date.
    """
    from dataclasses import asdict

    from lorry.api import Lorry
    from lorry.cli.spending import price_lines
    from lorry.model.prices import PICTURES

    async def read() -> tuple[tuple[HardwarePrice, ...], tuple[TokenPrice, ...]]:
        async with Lorry(common.settings()) as lorry:
            return await lorry.prices()

    hardware, words = asyncio.run(read())
    data = {
        "hardware": [row.as_dict() for row in hardware],
        "pictures": {base: asdict(price) for base, price in PICTURES.items()},
        "words": [row.as_dict() for row in words],
    }
    common.out(data, price_lines(hardware, words))
