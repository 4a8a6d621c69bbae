"""Decisions of the policy, as values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.delivery.policy import Course, Policy, course
from lorry.errors import Conflict, RateLimited
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel

AT = datetime(2026, 11, 23, tzinfo=UTC)
MODEL = TrainedModel("tok", "/x", "aa", "icons", "icons", None, 3, AT)


def _placement(state: PlacementState) -> Placement:
    return Placement("tok", "local", state, None, ProviderIds(), None, None, AT)


TIMES = st.floats(0, 30_000.0)
#: Every step that waits: it answers with what it still waits for.
STEPS = (
    *("import", "job", "validate", "deploy", "wait", "attach", "load", "prove"),
    *("stop", "detached", "stopped", "gone"),
    *("publish", "upload", "container", "route"),
)


def _waits(policy: Policy, step: str, seed: str = "tok") -> list[float]:
    """Give every pause of a wait for something that never comes, up to the step's limit."""
    pauses: list[float] = []
    while True:
        pause = policy.look_again(step, len(pauses) + 1, sum(pauses), f"{seed}/{len(pauses)}")
        if pause is None:
            return pauses
        pauses.append(pause)


@given(looks=st.integers(1, 10_000), more=st.integers(0, 100), waited=TIMES, longer=TIMES)
def test_pauses_never_shrink(looks: int, more: int, waited: float, longer: float) -> None:
    """Neither more looks nor a longer wait makes a pause shorter; it lies between the first and the last."""
    policy = Policy()
    pause = policy.pause(looks, waited)
    assert policy.first_look <= pause <= policy.pause(looks + more, waited + longer)
    assert pause <= policy.slowest


def test_looks_are_quick_at_first_and_slower_in_the_middle() -> None:
    """Ten looks in the first 10 s; then one comes within 2 s, or within 5 % of what was waited, or 33 s."""
    pauses = _waits(Policy(), "wait")
    ends = [sum(pauses[: place + 1]) for place in range(len(pauses))]
    assert sum(end <= 10.0 for end in ends) >= 10
    for pause, end in zip(pauses, ends, strict=True):
        assert pause <= min(33.0, max(2.0, 0.05 * (end - pause)))


def test_the_longest_wait_takes_few_looks() -> None:
    """The looks of a wait stay countable: each is kept by the durable runtime; 6 h take fewer than 900."""
    assert len(_waits(Policy(), "wait")) < 900


@given(looks=st.integers(1, 10_000), waited=st.floats(0, 80.0), seed=st.text(max_size=40))
def test_jitter_is_bounded_and_comes_from_the_seed(looks: int, waited: float, seed: str) -> None:
    """A pause lies within a tenth of the plain one, and the same seed gives the same pause."""
    policy = Policy(limit=1e6)
    plain, pause = policy.pause(looks, waited), policy.look_again("any", looks, waited, seed)
    assert pause is not None
    assert 0.9 * plain <= pause <= 1.1 * plain + 1e-12
    assert pause == policy.look_again("any", looks, waited, seed)


def test_jitter_parts_deliveries() -> None:
    """Of a hundred deliveries that began together, no two look again at the same moment."""
    assert len({Policy().look_again("wait", 9, 5.0, f"model-{number}") for number in range(100)}) == 100


@given(step=st.sampled_from(STEPS), limit=st.floats(0.001, 5000.0), seed=st.text(max_size=10))
def test_no_deadline_is_overslept(step: str, limit: float, seed: str) -> None:
    """The pauses of a wait add up to its limit: the last look happens then, none later."""
    pauses = _waits(Policy(limits={step: limit}), step, seed)
    assert sum(pauses) == pytest.approx(limit)
    assert all(pause > 0 for pause in pauses)


@given(
    failures=st.integers(1, 40), waited=TIMES, asked=st.none() | st.floats(0, 1e6), seed=st.text(max_size=9)
)
def test_the_platform_is_left_alone_for_as_long_as_it_asks(
    failures: int, waited: float, asked: float | None, seed: str
) -> None:
    """A try comes neither before Retry-After nor after the deadline; else it is given up."""
    policy = Policy(limit=1000.0)
    error = RateLimited("Slow down.", evidence={"retry_after": asked})
    pause = policy.try_again("any", error, failures, waited, seed)
    left = 1000.0 - waited
    if pause is None:
        assert failures >= policy.tries or (asked or 0.0) > left or left <= 0
    else:
        assert (asked or 0.0) <= pause <= left
        assert pause <= max(1.1 * (asked or 0.0), 1.1 * policy.longest_retry)


@pytest.mark.parametrize("nonsense", ["soon", -5, float("nan"), float("inf"), True, None, [3]])
def test_nonsense_as_retry_after_is_not_obeyed(nonsense: object) -> None:
    """What is no number of seconds changes nothing."""
    plain = Policy().try_again("any", RateLimited("Slow down."), 1, 0.0, "tok")
    told = RateLimited("Slow down.", evidence={"retry_after": nonsense})
    assert Policy().try_again("any", told, 1, 0.0, "tok") == plain


@given(st.integers(1, 40))
def test_what_may_pass_is_tried_a_few_times(failures: int) -> None:
    """An error that may pass is tried again with growing pauses until the tries are used up."""
    policy = Policy()
    after = policy.try_again("any", RateLimited("Slow down."), failures, 0.0, "tok")
    assert (after is None) == (failures >= policy.tries)
    assert after is None or 0.9 * 0.25 * 2 ** (failures - 1) <= after <= 1.1 * 30.0


def test_what_will_not_pass_is_not_tried_again() -> None:
    """A refusal is final at the first time, whatever it says of coming back."""
    assert Policy().try_again("any", Conflict("Taken.", evidence={"retry_after": 1}), 1, 0.0, "tok") is None


def test_a_step_has_its_own_limit_or_the_common_one() -> None:
    """Readiness may take as long as the platform itself waits (6 h), what is not named the common limit."""
    assert Policy().limit_of("wait") > 6 * 3600
    assert Policy(limit=7.0).limit_of("anything") == 7.0


@pytest.mark.parametrize("step", STEPS)
def test_every_step_that_waits_has_its_own_limit(step: str) -> None:
    """Each step of any route that waits for the platform has a deadline of its own, not the common one."""
    assert step in Policy().limits


@pytest.mark.parametrize(
    ("model", "state", "digest", "expected"),
    [
        (None, None, "aa", Course.BEGIN),
        (MODEL, None, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.DELIVERING, "aa", Course.GO_ON),
        (MODEL, PlacementState.READY, "aa", Course.NOTHING_TO_DO),
        (MODEL, PlacementState.FAILED, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.RETIRED, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.HELD, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.RETIRING, "aa", Course.BEING_REMOVED),
        (MODEL, PlacementState.RETIRING, "bb", Course.BEING_REMOVED),
        (MODEL, PlacementState.DELIVERING, "bb", Course.TAKEN),
        (MODEL, PlacementState.READY, "bb", Course.TAKEN),
        (MODEL, PlacementState.FAILED, "bb", Course.TAKEN),
        (MODEL, None, "bb", Course.TAKEN),
    ],
)
def test_the_course_follows_from_what_is_known(
    model: TrainedModel | None, state: PlacementState | None, digest: str, expected: Course
) -> None:
    """Name, digest and state decide; a name never changes its weights silently."""
    assert course(model, _placement(state) if state else None, digest) is expected
