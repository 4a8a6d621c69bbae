"""What may be spent in a day and in a month, by a model, by an owner, or in all; and what is left of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lorry.errors import BudgetSpent, OptionInvalid

#: What happens when a budget is spent: tell it; use cheaper routes and let nothing idle; or stop.
WARN, SOFTEN, STOP = AT_LIMIT = ("warn", "soften", "stop")

#: The scope of everything, and what other scopes begin with.
ALL, MODEL, OWNER = "all", "model:", "owner:"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent.

    Attributes:
        scope: `all`, `model:NAME` or `owner:NAME`.
        day_cents: In a day (UTC), US cents; `None` for no limit.
        month_cents: In a month (UTC).
        at_limit: What happens when it is spent: one of `AT_LIMIT`.
        warn_at: Share of it from which on it is warned of.
    """

    scope: str
    day_cents: float | None = None
    month_cents: float | None = None
    at_limit: str = STOP
    warn_at: float = 0.8

    def as_dict(self) -> dict[str, Any]:
        """Give the budget as JSON values."""
        return asdict(self)


def scopes_of(model: str | None, owner: str | None) -> tuple[str, ...]:
    """Give the scopes whose budgets hold for a model, the narrowest first.

    Args:
        model: Lorry's name of the model; `None` for what several share.
        owner: Whose it is.
    """
    own = (f"{MODEL}{model}",) if model else ()
    owned = (f"{OWNER}{owner}",) if owner else ()
    return (*own, *owned, ALL)


def require_sound_budget(budget: Budget) -> None:
    """Accept a budget, or name all that can't be used.

    Args:
        budget: The budget.

    Raises:
        OptionInvalid: With every problem at once.
    """
    problems = list(_problems(budget))
    if problems:
        sentence = "; ".join(problems)
        raise OptionInvalid(
            f"{sentence[0].upper()}{sentence[1:]}.",
            fix="Correct what is named; `lorry budget --help` lists the options.",
            evidence={"problems": problems},
        )


def _problems(budget: Budget) -> Iterator[str]:
    if budget.scope != ALL and not any(
        budget.scope.startswith(kind) and len(budget.scope) > len(kind) for kind in (MODEL, OWNER)
    ):
        yield f"the scope is {budget.scope!r}, it can be {ALL}, {MODEL}NAME or {OWNER}NAME"
    for name, value in (("day", budget.day_cents), ("month", budget.month_cents)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            yield f"{name} is {value:g} cents, it must be 0 or more"
    if budget.at_limit not in AT_LIMIT:
        yield f"at-limit is {budget.at_limit!r}, it can be {', '.join(AT_LIMIT)}"
    if not 0 < budget.warn_at <= 1:
        yield f"warn-at is {budget.warn_at:g}, it can be above 0 and up to 1"


@dataclass(frozen=True, slots=True)
class Spent:
    """US cents that went in the day and in the month that have begun (UTC)."""

    day: float = 0.0
    month: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in one of its periods.

    Attributes:
        budget: Which.
        period: `day` or `month`.
        limit: US cents that may be spent.
        spent: Cents that were.
        ends: When the period ends, UTC.
    """

    budget: Budget
    period: str
    limit: float
    spent: float
    ends: datetime

    @property
    def left(self) -> float:
        """Cents that are left."""
        return max(0.0, self.limit - self.spent)

    @property
    def warned(self) -> bool:
        """Whether it is to be warned of."""
        return self.spent >= self.limit * self.budget.warn_at

    @property
    def gone(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.limit

    @property
    def sentence(self) -> str:
        """Say how it stands, and until when."""
        return (
            f"the budget of {self.budget.scope} for the {self.period} is ${self.limit / 100:.2f}, "
            f"${self.left / 100:.2f} of it are left until {self.ends:%Y-%m-%d %H:%M} UTC"
        )

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "scope": self.budget.scope,
            "period": self.period,
            "limit_cents": round(self.limit, 4),
            "spent_cents": round(self.spent, 4),
            "left_cents": round(self.left, 4),
            "ends": self.ends.isoformat(),
            "at_limit": self.budget.at_limit,
            "warned": self.warned,
            "gone": self.gone,
        }


def standings(budgets: Iterable[Budget], spent: Mapping[str, Spent], now: datetime) -> tuple[Standing, ...]:
    """Say how budgets stand.

    Args:
        budgets: The budgets.
        spent: What was spent, by scope.
        now: The time, UTC.
    """
    day, month = ends_of(now)
    found = []
    for budget in budgets:
        gone = spent.get(budget.scope, Spent())
        if budget.day_cents is not None:
            found.append(Standing(budget, "day", budget.day_cents, gone.day, day))
        if budget.month_cents is not None:
            found.append(Standing(budget, "month", budget.month_cents, gone.month, month))
    return tuple(found)


def ends_of(now: datetime) -> tuple[datetime, datetime]:
    """Give when the day and the month end that have begun, UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1), month


def holding(found: Iterable[Standing], model: str | None, owner: str | None) -> tuple[Standing, ...]:
    """Choose the standings that hold for a model, the narrowest scope first."""
    scopes = scopes_of(model, owner)
    mine = [each for each in found if each.budget.scope in scopes]
    return tuple(sorted(mine, key=lambda each: scopes.index(each.budget.scope)))


def severest(found: Iterable[Standing]) -> Standing | None:
    """Give the one of those that are gone whose consequence is the hardest; `None` while none is."""
    gone = [each for each in found if each.gone]
    return max(gone, key=lambda each: AT_LIMIT.index(each.budget.at_limit), default=None)


def require_room(found: Iterable[Standing], cents: float, what: str) -> None:
    """Go on only if something fits into every budget that stops.

    Args:
        found: The standings that hold for it.
        cents: What it costs, US cents.
        what: What it is, for the sentence: `An hour of 1xnvidia-h100-80gb`.

    Raises:
        BudgetSpent: It does not; says how much is left, and until when.
    """
    short = [each for each in found if each.budget.at_limit == STOP and (each.gone or cents > each.left)]
    if short:
        raise BudgetSpent(
            f"{what} would cost ${cents / 100:.2f}, and {'; '.join(each.sentence for each in short)}.",
            evidence={"cents": cents, "budgets": [each.as_dict() for each in short]},
        )
