"""`lorry scale`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common


def scale(
    name: str,
    replicas: int,
    /,
    *,
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Change how many replicas a model runs on, with the price in the question.

    Args:
        name: The model's name.
        replicas: How many, 1 or more; `lorry stop` for none.
        yes: Agree to the price beforehand.
    """
    from lorry.api import Lorry
    from lorry.cli.spending import agreement, changed_lines
    from lorry.errors import OptionInvalid
    from lorry.spend.running import Changed

    if replicas < 1:
        raise OptionInvalid(f"{replicas} replicas can't be run.", fix=f"Run `lorry stop {name}` for none.")

    async def work() -> Changed:
        async with Lorry(common.settings()) as lorry:
            return await lorry.scale(name, replicas, agree=agreement(yes=yes, ask=not common.json))

    changed = asyncio.run(work())
    data = {
        "model": name,
        "before": changed.before,
        "replicas": replicas,
        "lease": changed.lease.as_dict() if changed.lease else None,
        "undo": changed.undo,
    }
    common.out(data, changed_lines(name, changed, f"goes from {changed.before} to {replicas} replicas"))
