"""`lorry retry`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.commands.ship import tell_ready
from lorry.cli.options import Common
from lorry.cli.progress import Steps
from lorry.model.placement import Placement


def retry(
    name: str,
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Do a delivery again from one of its steps on; one that runs is stopped first.

    Args:
        name: The model's name.
        from_: The step to begin with (`lorry show NAME` lists them); those before it must have been done.
    """
    from lorry.api import Lorry

    async def deliver() -> Placement:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                return await lorry.retry(name, from_)

    tell_ready(asyncio.run(deliver()), common)
