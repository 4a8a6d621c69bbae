"""`lorry deliveries`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.cli.printing import table
from lorry.model.underway import Delivery


def deliveries(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """List what is under way, failed, or waits for a person, and who works on it.

    Args:
        all_: List what is ready too.
    """
    from lorry.api import Lorry

    async def read() -> Sequence[Delivery]:
        async with Lorry(common.settings()) as lorry:
            return await lorry.deliveries(all=all_)

    found = asyncio.run(read())
    common.out({"deliveries": [each.as_dict() for each in found]}, _lines(found, datetime.now(UTC)))


def _lines(found: Sequence[Delivery], now: datetime) -> list[str]:
    if not found:
        return ["Nothing is under way."]
    rows = [("NAME", "STATE", "ROUTE", "LAST STEP", "WORKED ON BY", "FOR")]
    for each in found:
        place = each.placement
        step = place.step or "-"
        rows.append((place.model, str(place.state), place.route, step, each.holder, _span(each.age(now))))
    lines = table(rows)
    waiting = [each for each in found if each.holder == "nobody"]
    if waiting:
        name = waiting[0].placement.model
        lines.append(f"next: `lorry resume {name}`, or a `lorry worker` that takes up all of them.")
    return lines


def _span(seconds: float) -> str:
    """Write a span of time as a person says it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
