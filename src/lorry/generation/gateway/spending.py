"""What was spent, by caller and by model, with what requests under way may still cost.

Sums live in memory, where a request finds them without a database, and begin with the ledger's. What bills is
in the ledger before it is sent, so that a limit holds over a crash too. Several processes over one database
each know the others' spending as of their last look (`refresh`), once a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from lorry.errors import SpendLimitReached
from lorry.generation.gateway.budgeting import Budgets
from lorry.generation.gateway.callers import Caller
from lorry.model.serving import Policy

_Key = tuple[str, str | None]


class Spending:
    """Cents by day (UTC) and by token, and by day and model.

    Args:
        now: Gives the time, UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tokens: dict[_Key, float] = defaultdict(float)
        self._models: dict[_Key, float] = defaultdict(float)
        self.budgets = Budgets()

    def begin(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Start from what the ledger says.

        Args:
            rows: Cents by `day`, `token` and `model`.
        """
        self._tokens.clear()
        self._models.clear()
        for row in rows:
            self._add(row["day"], row["token"], row["model"], row["cents"])

    def add(self, token: str | None, model: str, cents: float) -> None:
        """Count what a request costs; a negative number gives back what it did not."""
        if cents:
            self._add(self._today(), token, model, cents)

    def today(self, model: str) -> float:
        """Give what a model's requests cost today."""
        return self._models.get((self._today(), model), 0.0) if self._models else 0.0

    def left(self, caller: Caller) -> float | None:
        """Give what a caller may still spend; `None` for no limit."""
        if caller.day_cents is None and caller.month_cents is None:
            return None
        day = self._today()
        limits = []
        if caller.day_cents is not None:
            limits.append(caller.day_cents - self._tokens.get((day, caller.token), 0.0))
        if caller.month_cents is not None:
            month = day[:7]
            spent = sum(
                cents
                for (when, token), cents in self._tokens.items()
                if token == caller.token and when.startswith(month)
            )
            limits.append(caller.month_cents - spent)
        return max(0.0, min(limits))

    def refuse(self, model: str, cents: float, caller: Caller, policy: Policy) -> SpendLimitReached:
        """Say which limit a request does not fit into, what is left of it, and until when."""
        left = {
            "token": self.left(caller),
            "model_day": None if policy.day_cents is None else policy.day_cents - self.today(model),
            "request": policy.request_cents,
        }
        short = {name: round(value, 4) for name, value in left.items() if value is not None and value < cents}
        said = ", ".join(f"{name.replace('_', ' of the ')} {value:g}" for name, value in short.items())
        return SpendLimitReached(
            f"The request would cost {cents:.4g} cents; left are: {said or 'nothing'}.",
            evidence={"cents": cents, "left": short, "day_ends": f"{self._today()}T24:00:00Z"},
        )

    def _add(self, day: str, token: str | None, model: str, cents: float) -> None:
        self._tokens[day, token] += cents
        self._models[day, model] += cents

    def _today(self) -> str:
        return self._now().date().isoformat()
