"""`lorry budget`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.model.budget import Budget, Standing


def budget(
    scope: str | None = None,
    /,
    *,
    day: float | None = None,
    month: float | None = None,
    at_limit: str | None = None,
    warn_at: float | None = None,
    remove: Annotated[bool, Parameter(negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show the budgets, or say what may be spent by a model, an owner, or in all.

    Asked before something is made or started that bills, and for each request on a route that bills by the
    request. The keeper stops what runs when a budget is gone.

    Args:
        scope: all, model:NAME or owner:NAME.
        day: US dollars a day (UTC).
        month: US dollars a month (UTC).
        at_limit: What happens when it is spent: warn; soften (what is idle stops at once, and cheaper places
            are asked first); or stop, which is the default.
        warn_at: Share of it from which on it is warned of; 0.8 unless told otherwise.
        remove: Take the budget away.
    """
    from lorry.cli.spending import budget_lines

    found, standing = asyncio.run(_changed(scope, day, month, at_limit, warn_at, common, remove=remove))
    data = {
        "budgets": [each.as_dict() for each in found],
        "standings": [each.as_dict() for each in standing],
    }
    common.out(data, budget_lines(found, standing))


async def _changed(
    scope: str | None,
    day: float | None,
    month: float | None,
    at_limit: str | None,
    warn_at: float | None,
    common: Common,
    *,
    remove: bool,
) -> tuple[tuple[Budget, ...], tuple[Standing, ...]]:
    from dataclasses import replace

    from lorry.api import Lorry
    from lorry.errors import OptionInvalid

    changes: dict[str, Any] = {
        "day_cents": None if day is None else day * 100,
        "month_cents": None if month is None else month * 100,
        "at_limit": at_limit,
        "warn_at": warn_at,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if scope is None and (given or remove):
        raise OptionInvalid("A budget needs a scope.", fix="Name one: all, model:NAME or owner:NAME.")
    async with Lorry(common.settings()) as lorry:
        if scope is not None and remove:
            await lorry.forget_budget(scope)
        elif scope is not None and given:
            known = {each.scope: each for each in (await lorry.budgets())[0]}
            await lorry.set_budget(replace(known.get(scope, Budget(scope)), **given))
        return await lorry.budgets()
