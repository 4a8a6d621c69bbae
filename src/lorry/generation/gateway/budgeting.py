"""Budgets at the gateway: what requests may still cost, and whether what sleeps may be started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lorry.errors import BudgetSpent
from lorry.model.budget import SOFTEN, STOP, Standing, holding, require_room, scopes_of


class Budgets:
    """How the budgets stand, with what this process spent since they were last read."""

    def __init__(self) -> None:
        self._found: tuple[Standing, ...] = ()
        self._since: dict[str, float] = defaultdict(float)

    def read(self, found: Sequence[Standing]) -> None:
        """Begin from how they stand now."""
        self._found = tuple(found)
        self._since.clear()

    def add(self, model: str, owner: str | None, cents: float) -> None:
        """Count what a request costs; a negative number gives back what it did not."""
        if self._found and cents:
            for scope in scopes_of(model, owner):
                self._since[scope] += cents

    def left(self, model: str, owner: str | None) -> float | None:
        """Give the cents that requests for a model may still cost; `None` for no limit."""
        if not self._found:
            return None
        stops = [each for each in holding(self._found, model, owner) if each.budget.at_limit == STOP]
        return min((self._left(each) for each in stops), default=None)

    def softened(self, model: str, owner: str | None) -> bool:
        """Say whether a budget is gone that asks for cheaper places."""
        found = holding(self._found, model, owner) if self._found else ()
        return any(each.budget.at_limit == SOFTEN and self._left(each) <= 0 for each in found)

    def require(self, model: str, owner: str | None, cents: float, what: str) -> None:
        """Go on only if something fits.

        Raises:
            BudgetSpent: It does not; says how much is left, and until when.
        """
        if self._found:
            require_room(holding(self._found, model, owner), cents, what)

    def refusal(self, model: str, owner: str | None, cents: float) -> BudgetSpent | None:
        """Say which budget a request does not fit into; `None` where it fits into all."""
        left = self.left(model, owner)
        if left is None or cents <= left:
            return None
        try:
            self.require(model, owner, cents, "The request")
        except BudgetSpent as error:
            return error
        return BudgetSpent(
            f"The request would cost {cents:.4g} cents, and {left:.4g} are left of a budget.",
            evidence={"cents": cents, "left": left},
        )

    def _left(self, each: Standing) -> float:
        return max(0.0, each.left - self._since.get(each.budget.scope, 0.0))
