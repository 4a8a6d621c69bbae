"""Which places may answer a request, in order, and why the others may not: a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorry.generation.routing.health import WELL, Circuit, Health
from lorry.model.placement import PlacementState
from lorry.model.serving import Place, Policy
from lorry.weights.bases.families import base_named


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs of a place.

    Attributes:
        kind: `picture` or `words`.
        cents: Gives what the request would cost at a place, US cents.
        left: Cents that the caller's own limits leave; `None` for no limit.
    """

    kind: str
    cents: Callable[[Place], float]
    left: float | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A place that may not answer.

    Attributes:
        place: Name of the shipped model, and its route.
        reason: Why, in words.
        code: The code of the error that this would be.
        wait: Seconds after which it may; `None` when nobody knows.
    """

    place: str
    route: str
    reason: str
    code: str
    wait: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {"model": self.place, "route": self.route, "why": self.reason, "code": self.code}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Who answers, first choice first, and who may not."""

    places: tuple[Place, ...]
    passed_over: tuple[PassedOver, ...]


def rank(
    named: Place,
    others: Sequence[Place],
    policy: Policy,
    need: Need,
    health: Mapping[str, Health],
    now: float,
    *,
    keys: Callable[[Place], Sequence[str]],
    spent_today: float,
) -> Ranking:
    """Put the places that may answer into order.

    Args:
        named: The place of the model that was asked for.
        others: The places of the models that may answer for it, in the policy's order.
        policy: The model's policy.
        need: What the request needs.
        health: By those names; what is missing is well.
        now: Seconds of the clock that the health was taken by.
        keys: Names what a place's health hangs on.
        spent_today: What the model's requests cost today, US cents.
    """
    chosen: list[tuple[tuple[int, int, int, float], Place]] = []
    passed: list[PassedOver] = []
    for number, place in enumerate((named, *others)):
        cents = need.cents(place)
        states = [health.get(key, WELL) for key in keys(place)]
        why = (
            _unfit(place, named, policy, need)
            or _unwell(place, states, now)
            or _too_dear(place, policy, need, cents, spent_today)
        )
        if why is not None:
            passed.append(why)
            continue
        probing = any(state.circuit(now) is Circuit.HALF_OPEN for state in states)
        chosen.append(((policy.order.index(place.route), int(probing), number, cents), place))
    # The order of routes comes first; a place on probation after its peers; then as the policy names them.
    chosen.sort(key=lambda row: row[0])
    return Ranking(tuple(place for _, place in chosen), tuple(passed))


def _unfit(place: Place, named: Place, policy: Policy, need: Need) -> PassedOver | None:
    if place.route not in policy.order:
        return _passed(place, "the policy leaves its route out", "no_route")
    words = place.model.kind != "image-lora"
    if words != (need.kind == "words"):
        says = "words" if words else "pictures"
        return _passed(place, f"it answers in {says}", "option_invalid")
    if place is not named and not policy.other_base and place.model.digest != named.model.digest:
        same = place.model.base == named.model.base
        of = "other weights" if same else f"another base model ({place.model.base})"
        return _passed(place, f"it is of {of}, which the policy does not allow", "no_route")
    if policy.commercial:
        base = base_named(place.model.base)
        if base is not None and base.commercial == "no":
            return _passed(place, f"its base is under the {base.licence}", "no_route")
    if place.placement.state is not PlacementState.READY:
        return _passed(place, f"it is {place.placement.state}", "model_not_ready")
    if not (place.placement.ids.endpoint_name or place.placement.ids.base_name):
        return _passed(place, "its address is not noted", "model_not_ready")
    return None


def _unwell(place: Place, states: Sequence[Health], now: float) -> PassedOver | None:
    for state in states:
        if not state.admits(now):
            told = state.held or state.reason or "it failed several times"
            code = "held" if state.held else "unwell"
            return PassedOver(place.key, place.route, told, code, state.wait(now))
    return None


def _too_dear(place: Place, policy: Policy, need: Need, cents: float, spent: float) -> PassedOver | None:
    if cents <= 0:
        return None
    limits = (
        (policy.request_cents, 0.0, "a request may cost {0:.4g} cents"),
        (policy.day_cents, spent, "its day has {0:.4g} cents left"),
        (need.left, 0.0, "the token has {0:.4g} cents left"),
    )
    for limit, gone, sentence in limits:
        if limit is not None and cents > limit - gone:
            left = sentence.format(max(0.0, limit - gone))
            return _passed(place, f"it would cost {cents:.4g} cents and {left}", "spend_limit_reached")
    return None


def _passed(place: Place, reason: str, code: str) -> PassedOver:
    return PassedOver(place.key, place.route, reason, code)
