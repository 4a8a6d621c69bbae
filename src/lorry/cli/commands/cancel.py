"""`lorry cancel`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.progress import Steps
from lorry.model.placement import Placement


def cancel(
    name: str,
    /,
    *,
    undo: Annotated[bool, Parameter(negative="--keep")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Stop a delivery at once, wherever it runs.

    What it made is kept until `lorry resume NAME` goes on with it, or removed, as asked.

    Args:
        name: The model's name.
        undo: Remove what the delivery made, all of it; otherwise it is kept, and what runs may bill.
    """
    from lorry.api import Lorry

    async def stop() -> Placement | None:
        with Steps(common.steps_console()) as steps:
            async with Lorry(common.settings(), listen=steps.show) as lorry:
                return await lorry.cancel(name, undo=undo)

    kept = asyncio.run(stop())
    state = str(kept.state) if kept else "retired"
    common.out({"model": name, "state": state, "placement": kept and kept.as_dict()}, _lines(name, kept))


def _lines(name: str, kept: Placement | None) -> list[str]:
    if kept is None:
        return [f"{name} is cancelled: nothing of it runs or bills any more."]
    ids = kept.ids
    runs = ids.deployment or ids.container or ids.endpoint
    what = f"what exists is kept, and {runs} may bill" if runs else "what exists is kept; nothing of it runs"
    return [
        f"{name} is cancelled; {what}.",
        f"next: `lorry resume {name}` to go on, `lorry cancel {name} --undo` to remove it.",
    ]
