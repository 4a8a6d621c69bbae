"""The timeline folds events into one line per run of a step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import RateLimited, RevisionRejected
from lorry.journal import LineState, step_done, step_failed, step_note, step_retrying, step_started, timeline
from lorry.model.events import Event

AT = datetime(2026, 11, 23, tzinfo=UTC)
LATER = AT + timedelta(seconds=2.5)


def _started(step: str = "upload", at: datetime = AT) -> Event:
    return step_started("tok", "delivery", step, "Begins.", at)


def _done(step: str = "upload") -> Event:
    return step_done("tok", "delivery", step, "Ended.", LATER, AT, {"bytes": 7})


def test_a_step_that_ended_has_its_duration() -> None:
    """A started and done step is one line with its seconds and last sentence."""
    (line,) = timeline([_started(), step_note("tok", "delivery", "upload", "created", "Made.", AT), _done()])
    assert (line.step, line.state, line.seconds, line.message) == ("upload", LineState.DONE, 2.5, "Ended.")
    assert line.began == AT


def test_a_failure_keeps_its_sentence_and_data() -> None:
    """A failed step's event carries the error's data, its line the error's sentence."""
    error = RevisionRejected("rank 3 is odd.", evidence={"rank": 3})
    event = step_failed("tok", "delivery", "validate", error, LATER, AT)
    assert event.data == {"error": error.as_dict()}
    (line,) = timeline([_started("validate"), event])
    assert (line.state, line.message, line.seconds) == (LineState.FAILED, "rank 3 is odd.", 2.5)


def test_retries_are_counted() -> None:
    """Each repetition after an error that may pass is counted on its line."""
    again = step_retrying("tok", "delivery", "upload", RateLimited("Slow down."), AT, 0.25)
    (line,) = timeline([_started(), again, again, _done()])
    assert (line.retries, line.state) == (2, LineState.DONE)
    assert "0.25 s" in again.message


def test_a_kill_leaves_an_interrupted_line() -> None:
    """A step that starts again without having ended was interrupted; the later line stands for itself."""
    first, second = timeline([_started(), _started(at=LATER), _done()])
    assert (first.state, first.seconds) == (LineState.INTERRUPTED, None)
    assert second.state is LineState.DONE


def test_retiring_and_delivering_do_not_mix() -> None:
    """Steps of one name in two workflows are two lines."""
    lines = timeline([_started("endpoint"), step_started("tok", "retire", "endpoint", "Deletes.", AT)])
    assert [(line.source, line.state) for line in lines] == [
        ("delivery", LineState.RUNNING),
        ("retire", LineState.RUNNING),
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["started", "done", "failed", "state"]))))
def test_every_start_has_its_line_and_at_most_one_runs(moves: list[tuple[str, str]]) -> None:
    """Whatever the journal holds: one line for each start, in order, and at most one running line a step."""
    events = [Event("tok", "delivery", step, action, action, AT) for step, action in moves]
    lines = timeline(events)
    starts = [step for step, action in moves if action == "started"]
    assert len(lines) >= len(starts)
    for step in "abc":
        running = [line for line in lines if line.step == step and line.state is LineState.RUNNING]
        assert len(running) <= 1
        assert sum(line.step == step for line in lines) >= starts.count(step)


def test_every_state_has_a_sentence() -> None:
    """Each state of a line says itself in words."""
    assert all(state.sentence.endswith(".") for state in LineState)
