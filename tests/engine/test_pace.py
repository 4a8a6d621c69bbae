"""The pace of the engine's slow things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.clock import ManualClock, moment_of, stamp
from lorry.engine.pace import Pace
from lorry.errors import OptionInvalid

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_at_once_is_over_before_anybody_looks() -> None:
    """A phase at once is over with no look and no time passed."""
    assert Pace.at_once().over(since=NOON, looks=0, now=NOON)


@given(count=st.integers(1, 50), looks=st.integers(0, 100))
def test_a_phase_of_looks_is_shown_that_often(count: int, looks: int) -> None:
    """A phase of n looks is shown n times; the look after these finds the next one."""
    assert Pace.looks(count).over(since=NOON, looks=looks, now=NOON) == (looks > count)


@given(length=st.floats(0.001, 1e6), passed=st.floats(0, 1e6))
def test_a_phase_of_seconds_ends_by_the_clock(length: float, passed: float) -> None:
    """A phase of seconds is over when that much time has passed, however often somebody looked."""
    now = NOON + timedelta(seconds=passed)
    expected = timedelta(seconds=passed) >= timedelta(seconds=length)
    assert Pace.seconds(length).over(since=NOON, looks=1000, now=now) == expected


@pytest.mark.parametrize(
    ("text", "pace"),
    [("at-once", Pace.at_once()), ("looks:3", Pace.looks(3)), ("seconds:2.5", Pace.seconds(2.5))],
)
def test_a_pace_is_read_as_users_write_it(text: str, pace: Pace) -> None:
    """Each documented spelling gives its pace."""
    assert Pace.parse(text) == pace


@pytest.mark.parametrize(
    "text", ["", "now", "looks", "looks:", "looks:-1", "looks:²", "seconds:-1", "seconds:x"]
)
def test_what_is_no_pace_is_refused_with_the_spellings(text: str) -> None:
    """Anything else is an OptionInvalid whose fix lists what can be written."""
    with pytest.raises(OptionInvalid) as caught:
        Pace.parse(text)
    assert "seconds:2.5" in caught.value.fix


@given(seconds=st.floats(0, 1e7))
def test_a_stamp_is_read_back_and_sorts_like_time(seconds: float) -> None:
    """Stamps are RFC 3339 with `Z`, lose nothing, and sort as text like the times they stand for."""
    clock = ManualClock(NOON)
    clock.advance(seconds)
    text = stamp(clock.now())
    assert text.endswith("Z")
    assert moment_of(text) == clock.now()
    assert (text >= stamp(NOON)) == (clock.now() >= NOON)
