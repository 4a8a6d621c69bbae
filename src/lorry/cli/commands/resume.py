"""`lorry resume`."""

from __future__ import annotations

import asyncio

from lorry.cli.commands.ship import tell_ready
from lorry.cli.options import Common
from lorry.cli.progress import Steps
from lorry.model.placement import Placement


def resume(name: str, /, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Go on with a delivery that was interrupted, failed or waits for a person.

    Args:
        name: The model's name.
    """
    from lorry.api import Lorry

    async def deliver() -> Placement:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                place = (await lorry.show(name)).placement
                if place is not None:
                    steps.expect(await lorry.estimates(place.route, rehearse=place.rehearsal))
                return await lorry.resume(name)

    tell_ready(asyncio.run(deliver()), common)
