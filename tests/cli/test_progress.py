"""A delivery's steps while they happen."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from lorry.cli.progress import Steps
from lorry.journal import Estimate
from lorry.model.events import Event

AT = datetime(2026, 11, 23, tzinfo=UTC)


def _shown(*events: Event, terminal: bool = False) -> str:
    output = io.StringIO()
    with Steps(Console(file=output, force_terminal=terminal, width=100, _environ={})) as steps:
        for event in events:
            steps.show(event)
    return output.getvalue()


def test_piped_output_is_one_plain_line_a_step() -> None:
    """Without a terminal there are no escape codes and no repainting: one line when a step is done."""
    text = _shown(
        Event("tok", "delivery", "upload", "started", "", AT),
        Event("tok", "delivery", "upload", "progress", "", AT, data={"sent": 5, "total": 10}),
        Event("tok", "delivery", "upload", "done", "2 files [1.4 MB]", AT, 0.25),
    )
    assert text == "  ok    upload       0.25 s  2 files [1.4 MB]\n"


def test_a_failed_step_is_marked() -> None:
    """A step that fails says so where it happened."""
    error = {"error": {"code": "deployment_failed"}}
    said = _shown(Event("tok", "delivery", "deploy", "failed", "No capacity.", AT, 1.0, error))
    assert "FAIL  deploy" in said
    assert "deployment_failed" in said


def test_a_terminal_sees_bytes_move() -> None:
    """On a terminal an upload shows how much has been sent."""
    event = Event("tok", "delivery", "upload", "progress", "", AT, data={"sent": 700_000, "total": 1_400_000})
    assert "upload" in _shown(event, terminal=True)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def _waited(usual: dict[str, Estimate], seconds: float) -> str:
    """Give what a terminal shows of a step that has gone on for so long."""
    output, clock = io.StringIO(), Clock()
    console = Console(file=output, force_terminal=True, width=200, _environ={})
    with Steps(console, clock) as steps:
        steps.expect(usual)
        steps.show(Event("tok", "delivery", "wait", "started", "Waiting.", AT))
        clock.now = seconds
        steps.show(Event("tok", "delivery", "wait", "state", "Pulling the image.", AT))
    return output.getvalue()


def test_a_terminal_sees_how_long_it_still_takes() -> None:
    """The live line has what happens now and the estimate, counted from the beginning of the step."""
    shown = _waited({"wait": Estimate(60.0, 180.0, 8)}, 20.0)
    assert "Pulling the image.  (usually 60 s, so about 40 s more)" in shown
    assert "longer than 9 of 10" in _waited({"wait": Estimate(60.0, 180.0, 8)}, 200.0)


def test_nothing_is_guessed() -> None:
    """A step of which too little is known has no estimate, nor has one that is over in a moment."""
    assert "(" not in _waited({"other": Estimate(60.0, 180.0, 8)}, 20.0).rpartition("Pulling")[2]
    assert "usually" not in _waited({"wait": Estimate(0.5, 1.0, 8)}, 0.1)


def test_the_live_line_shows_brackets_as_they_are() -> None:
    """What a platform says is text, never markup."""
    event = Event("tok", "delivery", "wait", "state", "Pod [bold]a[/bold] waits.", AT)
    assert "Pod [bold]a[/bold] waits." in _shown(event, terminal=True)
