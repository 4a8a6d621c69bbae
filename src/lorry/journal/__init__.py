"""The journal: every event of a model's life, in order, with times, and what can be told from it.

Pure but for `follow`, which waits, and `read_estimates`, which reads.
"""

from __future__ import annotations

from lorry.journal.estimates import Estimate, Estimates, StepKey, duration, learned, read_estimates
from lorry.journal.events import step_done, step_failed, step_note, step_retrying, step_started
from lorry.journal.follow import follow
from lorry.journal.hiding import Hiding
from lorry.journal.status import Reason, Stage, StageState, Status, status_of, together_of
from lorry.journal.timeline import Line, LineState, timeline

__all__ = [
    "Estimate",
    "Estimates",
    "Hiding",
    "Line",
    "LineState",
    "Reason",
    "Stage",
    "StageState",
    "Status",
    "StepKey",
    "duration",
    "follow",
    "learned",
    "read_estimates",
    "status_of",
    "step_done",
    "step_failed",
    "step_note",
    "step_retrying",
    "step_started",
    "timeline",
    "together_of",
]
