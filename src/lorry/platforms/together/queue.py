"""The queue in front of a container's workers (Together API dossier 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from together.types.beta.jig import QueueMetricsResponse, QueueRetrieveResponse

from lorry.delivery.ports import Job, JobState, QueueCounts
from lorry.errors import Conflict
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

_STATES = {
    "pending": JobState.PENDING,
    "running": JobState.RUNNING,
    "done": JobState.DONE,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELED,
}


class TogetherQueue:
    """The port `Queue`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def submit(self, container: str, payload: Mapping[str, Any]) -> str:
        """Put a job into the queue of a container (by name) and give its id; sent once."""
        doing = f"queue a job for {container}"
        with self._at.faults.translated(doing):
            made = await self._at.client.beta.jig.queue.submit(model=container, payload=dict(payload))
        return self._at.read(doing, text, made, "request_id")

    async def look(self, container: str, job: str) -> Job:
        """Read a job's present state.

        Raises:
            NotThere: The queue does not know it.
        """
        doing = f"look at the job {job}"
        with self._at.faults.translated(doing):
            found = await self._at.client.beta.jig.queue.retrieve(model=container, request_id=job)
        return self._at.read(doing, _job, found)

    async def cancel(self, container: str, job: str) -> None:
        """Take a job that no worker has begun out of the queue.

        Raises:
            Conflict: A worker has begun it.
        """
        doing = f"cancel the job {job}"
        with self._at.faults.translated(doing):
            answer = await self._at.client.beta.jig.queue.cancel(model=container, request_id=job)
        if answer.status not in (None, "canceled"):
            raise Conflict(
                f"The job {job} is {answer.status} and can't be canceled any more.",
                evidence={"job": job, "status": answer.status},
            )

    async def metrics(self, container: str) -> QueueCounts:
        """Count the jobs of a container (by name)."""
        doing = f"count the jobs of {container}"
        with self._at.faults.translated(doing):
            found = await self._at.client.beta.jig.queue.metrics(model=container)
        return self._at.read(doing, _counts, found)


def _counts(found: QueueMetricsResponse) -> QueueCounts:
    running, waiting, total = found.messages_running, found.messages_waiting, found.total_jobs
    return QueueCounts(int(running or 0), int(waiting or 0), int(total or 0))


def _job(found: QueueRetrieveResponse) -> Job:
    said = text(found, "status")
    if said not in _STATES:
        raise ValueError(f"a job's status can't be {said!r}")
    outputs = found.outputs or {}
    return Job(text(found, "request_id"), _STATES[said], dict(outputs), _complaint(found))


def _complaint(found: QueueRetrieveResponse) -> str:
    """Give what a worker complains of; outputs are promised for done jobs only, so the info has it too."""
    error = (found.outputs or {}).get("error") or (found.info or {}).get("error")
    if isinstance(error, Mapping):
        error = error.get("message")
    return str(error) if error else "; ".join(found.warnings or [])
