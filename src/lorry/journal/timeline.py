"""What a person wants to see of a journal: one line per step, how it ended and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lorry.model.events import Event


class LineState(StrEnum):
    """How a step of the timeline stands; `sentence` says each in words."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """Say the state in words a user understands."""
        return _SENTENCES[self]


_SENTENCES = {
    LineState.RUNNING: "It has begun and not ended yet.",
    LineState.DONE: "It ended well.",
    LineState.FAILED: "It ended with an error.",
    LineState.INTERRUPTED: "The process ended within it; a later line went on.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One run of one step.

    Attributes:
        source: Whose step it is (`delivery`, `retire`).
        step: Its name.
        state: How it stands.
        began: When it began, UTC.
        seconds: How long it took, once it ended.
        message: The last sentence about it.
        retries: How often it was tried again after an error that might pass.
    """

    source: str
    step: str
    state: LineState
    began: datetime
    seconds: float | None
    message: str
    retries: int = 0


_ENDS = {"done": LineState.DONE, "failed": LineState.FAILED}


def timeline(events: Iterable[Event]) -> tuple[Line, ...]:
    """Fold a model's events into lines, in the order in which the steps began.

    Args:
        events: A model's events, oldest first.

    Returns:
        One line per `started`, and one for an event of a step that was never seen to start.
    """
    lines: list[Line] = []
    for event in events:
        place = _open_line(lines, event)
        if event.action == "started":
            if place is not None:
                lines[place] = replace(lines[place], state=LineState.INTERRUPTED)
            lines.append(_line(event, LineState.RUNNING))
        elif place is not None:
            lines[place] = _told(lines[place], event)
        elif event.action in _ENDS:
            lines.append(_line(event, _ENDS[event.action]))
    return tuple(lines)


def _open_line(lines: list[Line], event: Event) -> int | None:
    for place in range(len(lines) - 1, -1, -1):
        line = lines[place]
        if (line.source, line.step) == (event.source, event.subject):
            return place if line.state is LineState.RUNNING else None
    return None


def _line(event: Event, state: LineState) -> Line:
    return Line(event.source, event.subject, state, event.at, event.seconds, event.message)


def _told(line: Line, event: Event) -> Line:
    if event.action == "retry":
        return replace(line, retries=line.retries + 1, message=event.message)
    if event.action not in _ENDS:
        return replace(line, message=event.message)
    return replace(line, state=_ENDS[event.action], seconds=event.seconds, message=event.message)
