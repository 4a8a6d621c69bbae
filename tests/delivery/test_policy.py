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


@given(st.integers(1, 10_000))
def test_pauses_grow_up_to_the_longest(looks: int) -> None:
    """Pauses begin at 0.05 s, never shrink and never exceed 5 s."""
    policy = Policy()
    assert policy.pause(1) == 0.05
    assert 0.05 <= policy.pause(looks) <= policy.pause(looks + 1) <= 5.0


def test_an_hour_of_waiting_takes_few_looks() -> None:
    """The looks of a long wait stay countable: an hour is below 800 of them."""
    policy, waited, looks = Policy(), 0.0, 0
    while waited < 3600:
        looks += 1
        waited += policy.pause(looks)
    assert looks < 800


@given(st.integers(1, 40))
def test_what_may_pass_is_tried_a_few_times(failures: int) -> None:
    """An error that may pass is tried again with growing pauses until the tries are used up."""
    policy = Policy()
    after = policy.retry_after(RateLimited("Slow down."), failures)
    assert (after is None) == (failures >= policy.tries)
    assert after is None or 0.25 <= after <= 5.0


def test_what_will_not_pass_is_not_tried_again() -> None:
    """A refusal is final at the first time."""
    assert Policy().retry_after(Conflict("Taken."), 1) is None


def test_a_step_has_its_own_limit_or_the_common_one() -> None:
    """Readiness may take as long as the platform itself waits (6 h), what is not named the common limit."""
    assert Policy().limit_of("wait") > 6 * 3600
    assert Policy(limit=7.0).limit_of("anything") == 7.0


@pytest.mark.parametrize(
    ("model", "state", "digest", "expected"),
    [
        (None, None, "aa", Course.BEGIN),
        (MODEL, None, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.DELIVERING, "aa", Course.GO_ON),
        (MODEL, PlacementState.READY, "aa", Course.NOTHING_TO_DO),
        (MODEL, PlacementState.FAILED, "aa", Course.BEGIN_AGAIN),
        (MODEL, PlacementState.RETIRED, "aa", Course.BEGIN_AGAIN),
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
