"""A job as a worker has it in hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Seconds after which a job that nobody reported on goes back into the queue.
CLAIM = 90


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was claimed: its id and its payload."""

    id: str
    payload: Mapping[str, Any]
