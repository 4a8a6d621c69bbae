"""`lorry start`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common


def start(
    name: str,
    /,
    *,
    replicas: int | None = None,
    minutes: float | None = None,
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Start what a model runs on, with its price in the question.

    Args:
        name: The model's name.
        replicas: How many; as it was shipped when omitted.
        minutes: For how long at least, used or not; a lease (LORRY_LEASE_MINUTES) when omitted.
        yes: Agree to the price beforehand.
    """
    from lorry.api import Lorry
    from lorry.cli.spending import agreement, changed_lines
    from lorry.errors import OptionInvalid
    from lorry.spend.running import Changed

    if (replicas is not None and replicas < 1) or (minutes is not None and minutes <= 0):
        raise OptionInvalid("Replicas are 1 or more, and minutes more than 0.")

    async def work() -> Changed:
        async with Lorry(common.settings()) as lorry:
            agree = agreement(yes=yes, ask=not common.json)
            return await lorry.start(name, agree=agree, replicas=replicas, minutes=minutes)

    changed = asyncio.run(work())
    data = {"model": name, "lease": changed.lease.as_dict() if changed.lease else None, "undo": changed.undo}
    did = "is being started" if not changed.object.running else "runs"
    common.out(data, changed_lines(name, changed, did))
