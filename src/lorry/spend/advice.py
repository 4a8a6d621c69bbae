"""When a deployment of its own pays, and which models could share one. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakEven:
    """One model, on a deployment of its own against a route that bills by the request.

    Attributes:
        model: Which model.
        own_cents_per_hour: Price of its own replica while it runs, US cents.
        request_cents: Price of one request on the other route, US cents.
        requests_per_hour: Requests an hour above which its own replica is cheaper.
        seen_per_hour: Requests an hour that it really had, in the hours in which it ran or was asked.
        own: Whether its own is cheaper at what was seen.
    """

    model: str
    own_cents_per_hour: float
    request_cents: float
    requests_per_hour: float
    seen_per_hour: float
    own: bool

    @property
    def sentence(self) -> str:
        """Say it in words, with the number behind it."""
        better = "a deployment of its own" if self.own else "paying by the request"
        return (
            f"above {self.requests_per_hour:,.0f} requests an hour its own replica "
            f"(${self.own_cents_per_hour / 100:.2f} an hour) is cheaper than {self.request_cents:.3g} cents "
            f"a request; it had {self.seen_per_hour:,.1f}, so {better} is cheaper"
        )


def break_even(model: str, own: float, request: float, seen: float) -> BreakEven | None:
    """Compare a deployment of its own with paying by the request; `None` where one of them has no price.

    Args:
        model: Which model.
        own: Price of its own replica, US cents an hour.
        request: Price of one request on the other route, US cents.
        seen: Requests that it had in an hour in which it was used.
    """
    if own <= 0 or request <= 0:
        return None
    level = own / request
    return BreakEven(model, own, request, level, seen, seen > level)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A text adapter that has a deployment of its own.

    Attributes:
        model: Which model.
        base: Its base.
        cents_per_hour: Price of its deployment, US cents.
    """

    model: str
    base: str
    cents_per_hour: float


@dataclass(frozen=True, slots=True)
class Packing:
    """Adapters of one base that could share a deployment.

    Attributes:
        base: Their base.
        models: Which they are.
        now_cents: What their deployments cost an hour, US cents.
        packed_cents: What a shared one, or as many as are needed, would cost.
        deployments: How many that is.
    """

    base: str
    models: tuple[str, ...]
    now_cents: float
    packed_cents: float
    deployments: int

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return (
            f"{len(self.models)} adapters of {self.base} cost ${self.now_cents / 100:.2f} an hour on "
            f"deployments of their own, and ${self.packed_cents / 100:.2f} on {self.deployments} that they "
            f"share (`lorry ship … --route together-attached`): {', '.join(self.models)}"
        )


def packings(hosted: Iterable[Hosted], shared: Mapping[str, float], slots: int = 16) -> tuple[Packing, ...]:
    """Find bases whose adapters would cost less together.

    Args:
        hosted: Adapters with deployments of their own.
        shared: Price an hour of a deployment that takes adapters, by base; a base without one is left out.
        slots: Adapters that one takes.
    """
    by_base: dict[str, list[Hosted]] = {}
    for each in hosted:
        by_base.setdefault(each.base, []).append(each)
    found = []
    for base, members in sorted(by_base.items()):
        if base not in shared or len(members) < 2:
            continue
        count = math.ceil(len(members) / slots)
        now, packed = sum(each.cents_per_hour for each in members), count * shared[base]
        if packed < now:
            names = tuple(sorted(each.model for each in members))
            found.append(Packing(base, names, now, packed, count))
    return tuple(found)
