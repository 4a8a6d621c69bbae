"""What is learned of earlier deliveries: only from whole runs, and only where there are enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.journal import (
    Estimate,
    StepKey,
    duration,
    learned,
    read_estimates,
    step_done,
    step_note,
    step_started,
)
from lorry.journal.estimates import ENOUGH, NEWEST
from lorry.model.events import Event
from lorry.store import open_store

AT = datetime(2026, 11, 23, tzinfo=UTC)
WAIT = StepKey("together-merged", "wait")


def _run(seconds: float, *within: str, source: str = "delivery", **data: Any) -> Iterator[Event]:
    """Give the events of one run of the step `wait`; `within` are actions in its middle."""
    at = AT + timedelta(seconds=seconds)
    yield step_started("tok", source, "wait", "Waits.", AT)
    for action in within:
        subject = "resume" if action == "resume" else "wait"
        yield step_note("tok", source, subject, "state" if action == "resume" else action, "", AT)
    yield step_done("tok", source, "wait", "Ready.", at, AT, {"route": "together-merged", **data})


def _runs(*seconds: float) -> list[Event]:
    return [event for each in seconds for event in _run(each)]


def test_nothing_is_said_before_there_are_enough() -> None:
    """With one run less than enough there is no estimate at all; with enough there is."""
    assert ENOUGH == 7
    assert learned(_runs(*[1.0] * (ENOUGH - 1))) == {}
    assert learned(_runs(*[1.0] * ENOUGH)) == {WAIT: Estimate(1.0, 1.0, ENOUGH)}


def test_enough_is_where_the_longest_run_is_a_fair_p90() -> None:
    """At 7 runs the longest lies above the true p90 more often than not, at 6 it does not."""
    assert 1 - 0.9**ENOUGH > 0.5 > 1 - 0.9 ** (ENOUGH - 1)


def test_half_and_nine_of_ten() -> None:
    """Of ten runs the p50 is the fifth and the p90 the ninth: times that a run really took."""
    runs = _runs(10.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0)
    assert learned(runs)[WAIT] == Estimate(5.0, 9.0, 10)


@given(st.lists(st.floats(0, 1e5), min_size=ENOUGH, max_size=3 * NEWEST))
def test_an_estimate_lies_among_the_newest_runs(seconds: list[float]) -> None:
    """Both numbers are times of the newest runs, and the shares that they stand for lie at or below."""
    told = [round(each, 3) for each in seconds]
    estimate = learned(_runs(*told))[WAIT]
    newest = told[-NEWEST:]
    assert estimate.samples == len(newest)
    assert min(newest) <= estimate.p50 <= estimate.p90 <= max(newest)
    assert {estimate.p50, estimate.p90} <= set(newest)
    assert sum(each <= estimate.p50 for each in newest) >= len(newest) / 2
    assert sum(each <= estimate.p90 for each in newest) >= 0.9 * len(newest)


@pytest.mark.parametrize("within", ["resume", "adopted"])
def test_what_was_interrupted_or_adopted_does_not_count(within: str) -> None:
    """A night between a kill and a resume is no time of the platform's, and adopting takes none."""
    events = _runs(*[2.0] * ENOUGH) + list(_run(30_000.0, within))
    assert learned(events)[WAIT] == Estimate(2.0, 2.0, ENOUGH)


def test_what_began_out_of_sight_does_not_count() -> None:
    """A run whose beginning is not among the events may have been interrupted, so it is left out."""
    ends = [event for event in _runs(*[2.0] * ENOUGH) if event.action == "done"]
    assert learned(ends) == {}


def test_routes_rehearsals_and_retirings_are_told_apart() -> None:
    """The engine's times say nothing about Together's, and a retiring's step nothing about a delivery's."""
    platform = _runs(*[60.0] * ENOUGH)
    rehearsed = [event for _ in range(ENOUGH) for event in _run(1.0, rehearsal=True)]
    retired = [event for _ in range(ENOUGH) for event in _run(9.0, source="retire")]
    other = [event for _ in range(ENOUGH) for event in _run(5.0, route="together-v1")]
    estimates = learned(platform + rehearsed + retired + other)
    assert {key: each.p50 for key, each in estimates.items()} == {
        WAIT: 60.0,
        StepKey("together-merged", "wait", rehearsal=True): 1.0,
        StepKey("together-v1", "wait"): 5.0,
    }


def test_models_at_the_same_time_do_not_mix() -> None:
    """An interruption of one model takes nothing from another's run that went on beside it."""
    events = _runs(*[2.0] * (ENOUGH - 1))
    other = list(_run(2.0))
    resumed = step_note("other", "delivery", "resume", "state", "", AT)
    assert learned([*events, other[0], resumed, other[1]])[WAIT].samples == ENOUGH


def test_an_estimate_says_what_is_left() -> None:
    """Before half of the runs ended it says how much is left, then the p90, then that it is late."""
    estimate = Estimate(100.0, 300.0, 9)
    assert estimate.sentence(40.0) == "usually 2 min, so about 60 s more"
    assert estimate.sentence(150.0) == "9 of 10 end within 5 min"
    assert estimate.sentence(301.0) == "longer than 9 of 10 by now, which ended within 5 min"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (5_340, "89 min"),
        (6_000, "1 h 40 min"),
    ],
)
def test_times_are_said_in_a_person_s_units(seconds: float, said: str) -> None:
    """A time is written with the unit that keeps it short."""
    assert duration(seconds) == said


async def test_estimates_are_read_from_the_store(home: Path) -> None:
    """What deliveries wrote is learned from the database; bytes that moved in between change nothing."""
    async with open_store(home) as store:
        for event in _runs(*[3.0] * ENOUGH):
            await store.write(event)
            await store.write(step_note("tok", "delivery", "wait", "progress", "", AT))
        assert await read_estimates(store) == {WAIT: Estimate(3.0, 3.0, ENOUGH)}
        for event in _run(4.0, "resume"):
            await store.write(event)
        assert (await read_estimates(store))[WAIT].samples == ENOUGH
