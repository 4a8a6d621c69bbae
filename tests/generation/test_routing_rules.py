"""The pure rules of routing: health, order, sizes, prices, fairness, expectations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.errors import OptionInvalid
from lorry.generation.gateway.callers import Rate
from lorry.generation.gateway.expecting import ALL, ENOUGH, expected, quantile
from lorry.generation.routing.choosing import Need, rank
from lorry.generation.routing.fairness import Limits, Waiting, next_ones
from lorry.generation.routing.health import (
    FAILURES,
    FIRST_REST,
    LONGEST_REST,
    PROBE_SECONDS,
    WELL,
    Circuit,
    Health,
    Outcome,
    after,
    begun,
)
from lorry.generation.routing.prices import picture_cents
from lorry.generation.routing.sizes import EMBEDDED, TOGETHER, Sizes
from lorry.model.prices import UNKNOWN_PICTURE
from lorry.model.serving import (
    ASLEEP,
    DEFAULT_POLICY,
    ROUTE_ORDER,
    Place,
    Policy,
    policy_from,
    require_sound_policy,
)
from tests.server.ground import placed, trained

#: No time is measured here: another process may have the core just then.
calm = settings(deadline=None)

OUTCOMES = st.sampled_from([Outcome.GOOD, Outcome.FAILED, Outcome.LIMITED])


@calm
@given(st.lists(st.tuples(OUTCOMES, st.floats(0, 300)), max_size=40))
def test_a_circuit_opens_only_for_a_while(story: list[tuple[Outcome, float]]) -> None:
    """Whatever came: one good answer closes it, and no failure opens it for longer than the limit."""
    health, now = WELL, 0.0
    for outcome, wait in story:
        now += wait
        health = after(health, outcome, now)
        assert health.wait(now) is not None
        assert (health.wait(now) or 0) <= LONGEST_REST
        if outcome is Outcome.GOOD:
            assert health is WELL
    assert health.circuit(now + LONGEST_REST) is not Circuit.OPEN


def test_failures_in_a_row_open_a_circuit_and_a_probe_decides() -> None:
    """Five open it; one request is let through after the rest; its failure doubles the rest."""
    health = WELL
    for _ in range(FAILURES - 1):
        health = after(health, Outcome.FAILED, 0)
        assert health.admits(0)
    health = after(health, Outcome.FAILED, 0)
    assert health.circuit(FIRST_REST - 0.1) is Circuit.OPEN
    assert health.circuit(FIRST_REST) is Circuit.HALF_OPEN
    probing = begun(health, FIRST_REST)
    assert not probing.admits(FIRST_REST)
    assert probing.admits(FIRST_REST + PROBE_SECONDS)  # a probe that never ended does not hold it for ever
    again = after(probing, Outcome.FAILED, FIRST_REST)
    assert again.wait(FIRST_REST) == 2 * FIRST_REST
    assert after(probing, Outcome.GOOD, FIRST_REST) is WELL


def test_what_a_person_has_to_mend_stays() -> None:
    """No outcome of a request that was under way mends it, and nobody knows how long it takes."""
    held = after(WELL, Outcome.HELD, 0, reason="no credit")
    for outcome in (Outcome.GOOD, Outcome.FAILED, Outcome.LIMITED):
        assert after(held, outcome, 10).held == "no credit"
    assert held.wait(1e9) is None


def a_place(name: str, route: str = "local", **model: str) -> Place:
    """Give a place."""
    return Place(trained(name, **model), placed(name, route))


def ranked(
    *places: Place,
    policy: Policy = DEFAULT_POLICY,
    health: dict[str, Health] | None = None,
    cents: float = 0.0,
    left: float | None = None,
    spent: float = 0.0,
) -> list[str]:
    """Rank places and give their names."""
    need = Need("picture", lambda place: cents if place.route == "together-url" else 0.0, left)
    found = rank(
        places[0],
        places[1:],
        policy,
        need,
        health or {},
        0.0,
        keys=lambda place: (place.key,),
        spent_today=spent,
    )
    assert {place.key for place in found.places} | {over.place for over in found.passed_over} == {
        place.key for place in places
    }
    return [place.key for place in found.places]


@calm
@given(st.permutations(ROUTE_ORDER[:1] + ROUTE_ORDER[3:]))
def test_own_endpoints_come_first_then_urls_then_others(routes: list[str]) -> None:
    """Whatever the order in which they are known; a policy may turn it."""
    places = [a_place(route, route) for route in routes]
    assert ranked(*places) == [route for route in ROUTE_ORDER if route in routes]
    turned = Policy(order=tuple(reversed(ROUTE_ORDER)))
    assert ranked(*places, policy=turned) == [route for route in reversed(ROUTE_ORDER) if route in routes]


def test_a_place_on_probation_comes_after_its_peers() -> None:
    """Half open it may answer, but a healthy one of its route is asked first; an open one is left out."""
    first, second, third = a_place("a"), a_place("b"), a_place("c")
    half = Health(failures=3, opened=1, until=-1.0)
    shut = Health(failures=3, opened=1, until=5.0)
    assert ranked(first, second, third, health={"a": half, "c": shut}) == ["b", "a"]


def test_what_bills_has_to_fit_into_every_limit() -> None:
    """Of the request, of the model's day, of the token: checked on the route that bills, and on no other."""
    own, url = a_place("own"), a_place("url", "together-url")
    order = Policy(order=("together-url", "local"))
    assert ranked(url, own, policy=order, cents=2.0) == ["url", "own"]
    assert ranked(url, own, policy=replace(order, request_cents=1.9), cents=2.0) == ["own"]
    assert ranked(url, own, policy=replace(order, day_cents=3.0), cents=2.0, spent=1.5) == ["own"]
    assert ranked(url, own, policy=order, cents=2.0, left=1.0) == ["own"]


def test_only_the_same_weights_answer() -> None:
    """Other weights, on the same base or another, only where the policy says so."""
    tok, other = a_place("tok"), a_place("other", digest="b" * 64)
    assert ranked(tok, other) == ["tok"]
    assert ranked(tok, other, policy=Policy(other_base=True)) == ["tok", "other"]


@calm
@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([EMBEDDED, TOGETHER]))
def test_the_nearest_size_is_valid_and_near(width: int, height: int, sizes: Sizes) -> None:
    """It is drawn itself, and a valid one is its own nearest; no edge within the limits moves by a step."""
    near = sizes.nearest(width, height)
    assert sizes.draws(*near)
    assert sizes.nearest(*near) == near
    for asked, got in zip((width, height), near, strict=True):
        if not sizes.square and sizes.least <= asked <= sizes.most:
            assert abs(asked - got) <= sizes.step / 2


def test_pictures_are_priced_by_megapixel_and_steps() -> None:
    """The step factor counts above the default only; own replicas cost nothing by the request."""
    flux = "black-forest-labs/FLUX.2-dev"
    assert picture_cents("together-url", flux, 1000, 1000, None, 1) == pytest.approx(1.54)
    assert picture_cents("together-url", flux, 1000, 1000, 14, 2) == pytest.approx(3.08)
    assert picture_cents("together-url", flux, 1000, 1000, 56, 1) == pytest.approx(3.08)
    assert picture_cents("together-merged", flux, 1000, 1000, 56, 1) == 0
    assert picture_cents("together-url", "x/y", 1000, 1000, None, 1) == UNKNOWN_PICTURE.cents_per_megapixel


REQUESTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=30)


@calm
@given(REQUESTS, REQUESTS, st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_the_queue_is_fair(
    waiting: list[tuple[str, str]],
    running: list[tuple[str, str]],
    at_once: int,
    per_owner: int,
    per_model: int,
) -> None:
    """No limit is passed, nothing that fits is left waiting, and whoever has the least comes first."""
    rows = [Waiting(str(number), owner, model) for number, (owner, model) in enumerate(waiting)]
    limits = Limits(at_once, per_owner, lambda _model: per_model)
    chosen = next_ones(rows, running, limits)
    assert len(chosen) <= max(0, at_once - len(running))
    left = list(rows)
    owners, models = Counter(owner for owner, _ in running), Counter(model for _, model in running)
    for row in chosen:

        def fits(other: Waiting) -> bool:
            return owners[str(other.owner)] < per_owner and models[other.model] < per_model

        assert fits(row)
        assert owners[str(row.owner)] == min(owners[str(other.owner)] for other in left if fits(other))
        left.remove(row)
        owners[str(row.owner)] += 1
        models[row.model] += 1
    if len(running) + len(chosen) < at_once:
        assert not any(owners[str(row.owner)] < per_owner and models[row.model] < per_model for row in left)


@calm
@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_a_value_that_covers_its_share(values: list[float], share: float) -> None:
    """At least that share of the values is not above it, and it is one of them."""
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


def test_starts_are_expected_as_they_were() -> None:
    """A model's own once there are enough, else those of its route; nothing where nothing is known."""
    assert expected([], "tok") is None
    others = [("cat", ALL, 100.0), ("cat", "loading", 90.0)]
    assert expected(others, "tok").p50 == 100.0  # type: ignore[union-attr]
    own = [("tok", ALL, seconds) for seconds in (10.0, 20.0, 30.0)][:ENOUGH]
    found = expected(others + own, "tok")
    assert found is not None
    assert (found.p50, found.p90, found.samples, found.stages) == (20.0, 30.0, 3, {})


@calm
@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 2), max_size=60))
def test_a_rate_lets_through_no_more_than_it_says(per_second: float, burst: int, waits: list[float]) -> None:
    """At most the burst and what came due since; who is early is told how long to wait."""
    rate, now, through = Rate(per_second, burst), 100.0, 0
    for wait in waits:
        now += wait
        early = rate.take(now)
        through += not early
        assert through <= burst + per_second * (now - 100.0) + 1e-6
        if early:
            assert rate.take(now + early + 1e-6) == 0.0
            now += early + 1e-6
            through += 1


@calm
@given(st.sampled_from(ASLEEP), st.lists(st.sampled_from(ROUTE_ORDER), min_size=1, unique=True))
def test_a_policy_survives_being_written_down(asleep: str, order: list[str]) -> None:
    """JSON and back gives the same policy; what a later version wrote is left out."""
    policy = Policy("ann", ("b",), tuple(order), asleep=asleep, day_cents=3.5)
    assert policy_from({**policy.as_dict(), "unknown": 1}) == policy


def test_a_policy_that_cannot_work_is_refused_with_all_its_problems() -> None:
    """Seven problems, one error."""
    bad = Policy(
        also=("tok",),
        order=("nowhere",),
        asleep="never",
        request_cents=-1,
        day_cents=float("nan"),
        resend_cents=-2,
        at_once=0,
    )
    with pytest.raises(OptionInvalid) as caught:
        require_sound_policy("tok", bad)
    assert len(caught.value.evidence["problems"]) == 7
