"""The journal: every event of a model's life, in order, with times. Pure but for `follow`, which waits."""

from __future__ import annotations

from lorry.journal.events import step_done, step_failed, step_note, step_retrying, step_started
from lorry.journal.follow import follow
from lorry.journal.hiding import Hiding
from lorry.journal.timeline import Line, LineState, timeline

__all__ = [
    "Hiding",
    "Line",
    "LineState",
    "follow",
    "step_done",
    "step_failed",
    "step_note",
    "step_retrying",
    "step_started",
    "timeline",
]
