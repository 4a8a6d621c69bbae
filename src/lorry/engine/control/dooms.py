"""What happens to a thing after it was made: a revision is rejected, an import sticks, a deployment fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lorry.engine.control.faults import Fault, Kind
from lorry.engine.together.lifecycle import Lifecycle
from lorry.engine.together.records import Shelves

_REJECTED = "The weights don't pass the validation of this platform."
_FAILED = "Timed out waiting for readiness."


class Dooms:
    """Brings about the fate of what a request made.

    Args:
        shelves: The records.
        lifecycle: What moves deployments.
    """

    def __init__(self, shelves: Shelves, lifecycle: Lifecycle) -> None:
        self._shelves = shelves
        self._lifecycle = lifecycle

    def __call__(self, fault: Fault, answer: dict[str, Any]) -> None:
        """Do to what was made what the fault says.

        Args:
            fault: The fault.
            answer: What the request was answered with.
        """
        if fault.kind is Kind.REJECT:
            self._reject(str(answer.get("revisionId", "")), fault.message or _REJECTED)
        elif fault.kind is Kind.STICK:
            self._stick(str(answer.get("id", "")))
        elif fault.kind is Kind.FAIL:
            self._lifecycle.fail(str(answer.get("id", "")), fault.message or _FAILED)

    def _reject(self, revision: str, message: str) -> None:
        record = self._shelves.revisions.get(revision)
        if record is not None:
            problem = {"rule": "requested_fault", "severity": "ERROR", "message": message}
            self._shelves.revisions.put(replace(record, outcome="FAILED", problems=[problem]))

    def _stick(self, job: str) -> None:
        record = self._shelves.remote_uploads.get(job)
        if record is not None:
            self._shelves.remote_uploads.put(replace(record, stuck=True))
