"""A delivery's steps while they happen."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from lorry.cli.progress import Steps
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
