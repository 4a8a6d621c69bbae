"""What the gateway is told about a model and about a caller: policies, tokens, places that answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from lorry.errors import OptionInvalid
from lorry.model.hours import parse_hours
from lorry.model.placement import Placement, TrainedModel

#: Routes in the order in which they are asked: own replicas, which bill whether they are asked or not, then
#: what bills by the request, then the rest.
ROUTE_ORDER = (
    "together-merged",
    "together-attached",
    "together-v1",
    "together-url",
    "together-container",
    "local",
)

#: What a request does to a model that is asleep: say so and go on in the background; wait here as long as
#: the caller does; ask another place while it starts; or refuse.
ACCEPT, HOLD, FALLBACK, REFUSE = ASLEEP = ("accept", "hold", "fallback", "refuse")


#: Least time that something may be idle before it is stopped: a request may take ten minutes, and until it
#: has ended nobody but the gateway that sent it knows of it.
LEAST_IDLE_MINUTES = 10


class Scope(StrEnum):
    """What a token may do."""

    GENERATE = "generate"
    SHIP = "ship"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Policy:
    """How requests for a model are routed, and what they may cost.

    Attributes:
        owner: Whose model it is; only tokens of this owner see it. `None` for one that all owners may use.
        also: Names of other shipped models that may answer in its place, in this order.
        order: Routes in the order in which they are asked.
        other_base: Whether one of `also` may be of other weights on another base model.
        commercial: Whether only bases are asked whose licence lets them earn money.
        request_cents: Most that one request may cost on a route that bills by the request, US cents; `None`
            for no limit.
        day_cents: Most that its requests may cost a day (UTC) on such routes.
        asleep: What a request does when its place sleeps: one of `ASLEEP`.
        resend_cents: What sending a request again may cost when nobody knows whether it was carried out; 0
            for never.
        at_once: Requests from the queue that are carried out at once; `None` leaves it to the server.
        idle_minutes: Minutes that its own replicas run on after they were last used; `None` as the keeper
            does for all.
        hours: Hours in which they are kept running: `mon-fri 08:00-18:00 Europe/Berlin`.
        quiet: Hours in which they idle no longer than `LEAST_IDLE_MINUTES`: those after which usually nobody
            asks for long.
        in_flight: Requests at once that one replica shall answer; `None` leaves their number alone.
        most_replicas: Replicas that run at most; `None` as it was shipped.
        spare: Replicas beyond those that the requests call for.
    """

    owner: str | None = None
    also: tuple[str, ...] = ()
    order: tuple[str, ...] = ROUTE_ORDER
    other_base: bool = False
    commercial: bool = False
    request_cents: float | None = None
    day_cents: float | None = None
    asleep: str = ACCEPT
    resend_cents: float = 0.0
    at_once: int | None = None
    idle_minutes: float | None = None
    hours: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    in_flight: float | None = None
    most_replicas: int | None = None
    spare: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give the policy as JSON values."""
        lists = {name: list(getattr(self, name)) for name in ("also", "order", "hours", "quiet")}
        return {**asdict(self), **lists}


DEFAULT_POLICY = Policy()


def policy_from(values: Mapping[str, Any]) -> Policy:
    """Read a policy from JSON values; names that are not known any more are left out.

    Args:
        values: What `Policy.as_dict` gave, or a part of it.
    """
    known = {each.name for each in fields(Policy)}
    taken = {name: value for name, value in values.items() if name in known}
    taken.update((name, tuple(taken[name])) for name in ("also", "order", "hours", "quiet") if name in taken)
    return Policy(**taken)


def require_sound_policy(name: str, policy: Policy) -> None:
    """Accept a policy, or name all that can't be used.

    Args:
        name: Whose.
        policy: The policy.

    Raises:
        OptionInvalid: With every problem at once.
    """
    problems = list(_problems(name, policy))
    if problems:
        sentence = "; ".join(problems)
        raise OptionInvalid(
            f"{sentence[0].upper()}{sentence[1:]}.",
            fix="Correct what is named; `lorry policy --help` lists the options.",
            evidence={"problems": problems},
        )


def _problems(name: str, policy: Policy) -> Iterator[str]:
    unknown = [route for route in policy.order if route not in ROUTE_ORDER]
    if unknown:
        yield f"order names {', '.join(unknown)}; routes are {', '.join(ROUTE_ORDER)}"
    if not policy.order:
        yield "order is empty, so nothing would be asked"
    if name in policy.also:
        yield f"also names {name} itself"
    if policy.asleep not in ASLEEP:
        yield f"asleep is {policy.asleep!r}, it can be {', '.join(ASLEEP)}"
    for name_, value in (
        ("request-cents", policy.request_cents),
        ("day-cents", policy.day_cents),
        ("resend-cents", policy.resend_cents),
    ):
        if value is not None and not (math.isfinite(value) and value >= 0):
            yield f"{name_} is {value:g}, it must be 0 or more"
    if policy.at_once is not None and policy.at_once < 1:
        yield f"at-once is {policy.at_once}, it must be 1 or more"
    yield from _keeping_problems(policy)


def _keeping_problems(policy: Policy) -> Iterator[str]:
    idle = policy.idle_minutes
    if idle is not None and not (math.isfinite(idle) and idle >= LEAST_IDLE_MINUTES):
        yield f"idle is {idle:g}, it must be {LEAST_IDLE_MINUTES} minutes or more"
    for text in (*policy.hours, *policy.quiet):
        try:
            parse_hours(text)
        except ValueError as error:
            yield str(error)
    if policy.in_flight is not None and not (math.isfinite(policy.in_flight) and policy.in_flight > 0):
        yield f"in-flight is {policy.in_flight:g}, it must be above 0"
    if policy.most_replicas is not None and policy.most_replicas < 1:
        yield f"most-replicas is {policy.most_replicas}, it must be 1 or more"
    if policy.spare < 0:
        yield f"spare is {policy.spare}, it must be 0 or more"


@dataclass(frozen=True, slots=True)
class Place:
    """A model that was shipped and where it is: what a request can be sent to.

    Attributes:
        model: What was trained.
        placement: Where it is.
        facts: What follows from the two and was worked out before, by name: each request needs it.
    """

    model: TrainedModel
    placement: Placement
    facts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Name it for its health: the shipped model."""
        return self.model.name

    @property
    def route(self) -> str:
        """Name its route."""
        return self.placement.route

    @property
    def embedded(self) -> bool:
        """Whether the embedded engine serves it, as itself or in Together's place."""
        return self.placement.rehearsal or self.placement.route == "local"


@dataclass(frozen=True, slots=True)
class Token:
    """Who may ask for what; the secret itself is never kept.

    Attributes:
        id: Names it in lists and in the ledger.
        digest: SHA-256 of the secret, hex.
        owner: Whose it is; `None` for the house, which sees the models of all.
        scopes: What it may do.
        models: The only models that it may ask for; all that its owner sees when `None`.
        per_second: Requests that may begin in a second, in the long run; `None` for no limit.
        burst: Requests that may begin at once after a silence.
        day_cents: What its requests may cost a day (UTC), US cents; `None` for no limit.
        month_cents: The same for a month (UTC).
        created_at: When it was made, UTC.
        revoked_at: When it was revoked; `None` while it is valid.
    """

    id: str
    digest: str
    owner: str | None
    scopes: frozenset[Scope]
    models: frozenset[str] | None
    per_second: float | None
    burst: int
    day_cents: float | None
    month_cents: float | None
    created_at: datetime
    revoked_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the token as JSON values, without its digest."""
        told = {name: value for name, value in asdict(self).items() if name != "digest"}
        return {
            **told,
            "scopes": sorted(self.scopes),
            "models": None if self.models is None else sorted(self.models),
            "created_at": self.created_at.isoformat(),
            "revoked_at": self.revoked_at.isoformat() if self.revoked_at else None,
        }
