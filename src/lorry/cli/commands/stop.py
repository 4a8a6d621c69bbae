"""`lorry stop`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.errors import OptionInvalid


def stop(
    name: str,
    /,
    *,
    yes: Annotated[bool, Parameter(alias="-y", negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Stop what a model runs on, so that it bills nothing; everything stays at the platform.

    Args:
        name: The model's name.
        yes: Do not ask, where it serves other models too.
    """
    from lorry.api import Lorry
    from lorry.cli.spending import changed_lines, confirmed
    from lorry.spend.running import Changed

    async def work() -> Changed | None:
        async with Lorry(common.settings()) as lorry:
            others = await lorry.runs_on(name)
            if others and not yes:
                asked = sys.stdin.isatty() and sys.stdout.isatty() and not common.json
                question = f"What {name} runs on serves {', '.join(others)} too. Stop it for all?"
                if not asked:
                    raise OptionInvalid(
                        f"What {name} runs on serves {', '.join(others)} too.",
                        fix="Say `--yes` to stop it for all of them.",
                        evidence={"others": list(others)},
                    )
                if not await asyncio.to_thread(confirmed, question):
                    return None
            return await lorry.stop(name)

    changed = asyncio.run(work())
    if changed is None:
        common.out({"model": name, "stopped": False}, ["Nothing was stopped."])
        return
    did = "is stopped, and bills nothing" if changed.before else "was not running"
    common.out({"model": name, "stopped": True, "undo": changed.undo}, changed_lines(name, changed, did))
