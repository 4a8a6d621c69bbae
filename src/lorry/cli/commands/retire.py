"""`lorry retire`."""

from __future__ import annotations

import asyncio

from lorry.cli.options import Common
from lorry.cli.progress import Steps


def retire(name: str, /, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Remove a model from its platform and from the Hub, all of it. The file on your disk stays.

    Args:
        name: The model's name.
    """
    from lorry.api import Lorry

    async def remove() -> None:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                await lorry.retire(name)

    asyncio.run(remove())
    common.out(
        {"model": name, "state": "retired"}, [f"{name} is retired: nothing of it runs or bills any more."]
    )
