"""`lorry keeper`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common


def keeper(
    *,
    once: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    stop_with_stdin: Annotated[bool, Parameter(show=False, negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Stop what bills and is not used; `lorry serve` does the same while it runs.

    It looks at what the platforms list, not only at what this home remembers. What is not Lorry's is shown
    and left alone.

    Args:
        once: Make one pass and end, as for cron; the exit status is 1 when something failed.
        dry_run: Make one pass, say what would be done, and do nothing.
        stop_with_stdin: End when standard input closes, so that a parent never leaves a keeper behind.
    """
    from lorry.api import Lorry
    from lorry.cli.spending import pass_lines
    from lorry.spend.keeper import Passed

    async def one() -> Passed:
        async with Lorry(common.settings()) as lorry:
            return await lorry.keep(act=not dry_run)

    if not (once or dry_run):
        _run(common, stop_with_stdin=stop_with_stdin)
        return
    passed = asyncio.run(one())
    data = {
        "at": passed.at.isoformat(),
        "objects": [done.as_dict() for done in passed.done],
        "budgets": [each.as_dict() for each in passed.standings],
        "problems": list(passed.problems),
    }
    common.out(data, pass_lines(passed))
    if passed.problems or any(done.error for done in passed.done):
        raise SystemExit(1)


def _run(common: Common, *, stop_with_stdin: bool) -> None:
    """Make passes until Ctrl-C, and print what is done as it is done."""
    from contextlib import suppress
    from datetime import UTC, datetime

    from lorry.daemon_thread import end_of_stdin
    from lorry.spend.keeper import Passed
    from lorry.wiring import House
    from lorry.wiring.spending import Journalled, keep, keeper_of

    def told(sentence: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  {sentence}", flush=True)  # noqa: T201 - the door prints

    async def work() -> None:
        house = House(common.settings())
        try:
            seconds = house.settings.keeper_seconds
            if not stop_with_stdin:
                told(f"The keeper looks every {seconds:g} s. Stop it with Ctrl-C.")
            known: set[str] = set()

            def seen(passed: Passed) -> None:
                for problem in passed.problems:
                    if problem not in known:  # the same trouble is told once, and not every minute
                        told(problem)
                known.clear()  # what came back after it was over is told again
                known.update(passed.problems)

            passes = asyncio.create_task(keep(keeper_of(house, Journalled(house, told)), seconds, seen))
            if stop_with_stdin:
                await end_of_stdin()
                passes.cancel()
            with suppress(asyncio.CancelledError):
                await passes
        finally:
            await house.close()

    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends; a pass that was cut off is made again
        asyncio.run(work())
