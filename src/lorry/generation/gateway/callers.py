"""Who asks, what they may, and how fast."""

from __future__ import annotations

from dataclasses import dataclass, field

from lorry.errors import TokenNotAllowed, TokenRateLimited
from lorry.model.serving import Scope, Token


@dataclass(slots=True)
class Rate:
    """A limit of requests by the generic cell rate algorithm (ITU-T I.371): one number, no window.

    Attributes:
        per_second: Requests that may begin in a second, in the long run.
        burst: Requests that may begin at once after a silence.
        even: When the next request would come if all came evenly, seconds.
    """

    per_second: float
    burst: int
    even: float = 0.0

    def take(self, now: float) -> float:
        """Begin a request if one may begin.

        Args:
            now: Seconds of a clock that only grows.

        Returns:
            0 when it may; otherwise the seconds until the next may.
        """
        wait = self.even - (self.burst - 1) / self.per_second - now
        if wait > 1e-9:
            return wait
        self.even = max(self.even, now) + 1 / self.per_second
        return 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        token: The token's id; `None` where none is needed.
        owner: Whose models it sees beside those that have no owner; `None` for the house, which sees all.
        scopes: What it may do.
        models: The only models that it may ask for; `None` for all that it sees.
        rate: How fast; `None` for no limit.
        day_cents: What it may spend a day, US cents; `None` for no limit.
        month_cents: The same for a month.
    """

    token: str | None = None
    owner: str | None = None
    scopes: frozenset[Scope] = frozenset(Scope)
    models: frozenset[str] | None = None
    rate: Rate | None = field(default=None, compare=False)
    day_cents: float | None = None
    month_cents: float | None = None

    @classmethod
    def of(cls, token: Token) -> Caller:
        """Give the caller that a token stands for."""
        rate = Rate(token.per_second, token.burst) if token.per_second else None
        return cls(
            token.id, token.owner, token.scopes, token.models, rate, token.day_cents, token.month_cents
        )

    def may(self, scope: Scope) -> bool:
        """Say whether it has a scope; `admin` has them all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Let it pass if it has a scope.

        Raises:
            TokenNotAllowed: It has not.
        """
        if not self.may(scope):
            raise TokenNotAllowed(
                f"The token may not do this: it needs the scope {scope.value!r}.",
                evidence={"needs": scope.value, "has": sorted(self.scopes)},
            )

    def sees(self, model: str, owner: str | None) -> bool:
        """Say whether it may know of a model.

        Args:
            model: Its name.
            owner: Whose it is.
        """
        mine = self.owner is None or owner is None or owner == self.owner
        return mine and (self.models is None or model in self.models)

    def take_turn(self, now: float) -> None:
        """Count a request against its rate.

        Args:
            now: Seconds of a clock that only grows.

        Raises:
            TokenRateLimited: It was faster than it may; `evidence` has the seconds to wait.
        """
        if self.rate is None:
            return
        wait = self.rate.take(now)
        if wait:
            raise TokenRateLimited(
                f"The token may begin {self.rate.per_second:g} requests a second, "
                f"{self.rate.burst} at once; the next one in {wait:.2f} s.",
                evidence={"per_second": self.rate.per_second, "burst": self.rate.burst, "retry_after": wait},
            )


#: Everybody, while no token was made: the server is open to this machine alone then.
HOUSE = Caller()
