"""`lorry costs`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common


def costs(
    *,
    by: str = "model",
    since: str | None = None,
    until: str | None = None,
    rehearsals: Annotated[bool, Parameter(negative="")] = False,
    csv: Annotated[bool, Parameter(negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show what was spent, what bills now and what the month will come to.

    From what ran (each minute that is begun, idle or not) and from what was asked; the platforms are looked
    at first, so what began or ended meanwhile counts.

    Args:
        by: A line for each model, owner, route or day.
        since: Beginning of the period: 7d, 36h, or a date. That of the month when omitted.
        until: Its end; now when omitted.
        rehearsals: Show what was played on the embedded engine, which nobody owes, and nothing else.
        csv: Print the lines as CSV, in US cents.
    """
    from lorry.api import Lorry
    from lorry.cli.spending import cost_lines
    from lorry.cli.times import time_from
    from lorry.model.costs import Report
    from lorry.spend.keeper import Passed
    from lorry.wiring import now

    present = now()
    begin = time_from(since, present) if since else None
    end = time_from(until, present) if until else None

    async def read() -> tuple[Report, Passed]:
        async with Lorry(common.settings()) as lorry:
            return await lorry.costs(by, since=begin, until=end, rehearsals=rehearsals)

    found, passed = asyncio.run(read())
    if csv:
        _print_csv(found)
        return
    data = {
        **found.as_dict(),
        "objects": [done.as_dict() for done in passed.done],
        "problems": list(passed.problems),
    }
    common.out(data, cost_lines(found, passed, rehearsals=rehearsals))


def _print_csv(found: object) -> None:
    import csv
    import sys

    from lorry.model.costs import Report

    assert isinstance(found, Report)  # noqa: S101 - imported late, so that `--help` is quick
    rows = [row.as_dict() for row in (*found.rows, found.total)]
    writer = csv.DictWriter(sys.stdout, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
