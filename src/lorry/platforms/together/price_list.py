"""What Together says now of its prices: hardware by the hour, words by the token (dossier 2.5)."""

from __future__ import annotations

from lorry.errors import PlatformError
from lorry.model.prices import HardwarePrice, TokenPrice
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text


async def hardware_prices(at: Connection) -> tuple[HardwarePrice, ...]:
    """Read the prices of hardware, the cheapest first.

    Args:
        at: Where from.

    Raises:
        PlatformError: The platform does not tell.
    """
    doing = "list the hardware with its prices"
    with at.faults.translated(doing):
        rows = (await at.client.endpoints.hardware.list()).data or []
    source = f"{at.faults.address}, asked now"
    found = [
        HardwarePrice(at.read(doing, text, row, "name"), row.price_cents_per_hour, source) for row in rows
    ]
    return tuple(sorted(found, key=lambda each: (each.cents_per_hour is None, each.cents_per_hour or 0)))


async def token_prices(at: Connection) -> tuple[TokenPrice, ...]:
    """Read the prices of words of the bases that answer without a deployment of one's own, by name.

    Args:
        at: Where from.

    Returns:
        None where the platform does not tell.
    """
    doing = "list the models with their prices"
    found = []
    try:
        with at.faults.translated(doing):
            async for row in at.client.models.list_supported():
                pricing = row.pricing
                if pricing is None or (pricing.input is None and pricing.output is None):
                    continue
                name = at.read(doing, text, row, "name")
                source = f"{at.faults.address}, asked now"
                found.append(TokenPrice(name, pricing.input, pricing.output, source))
    except PlatformError:
        return ()
    return tuple(sorted(found, key=lambda each: each.base))
