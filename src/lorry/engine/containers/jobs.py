"""The queue's rules (Together API dossier 4.2): who gets which job, and what becomes of one that nobody ends.

A worker claims a job for a time that it names and keeps the claim alive with reports; a claim that runs out
puts the job back, and the third time ends it (docstring of `retries` in the official client's
types/beta/jig/queue_retrieve_response.py). Like all states of the engine it is computed when somebody looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lorry.engine.api_errors import Refusal, Rpc, not_found
from lorry.engine.clock import moment_of, stamp
from lorry.engine.containers.bell import Bell
from lorry.engine.containers.records import ContainerShelves, JobRecord, OutputsRecord, PullerRecord
from lorry.engine.documents import new_id
from lorry.engine.works import Works

#: After so many retries a job is failed for good (see above).
MOST_RETRIES = 3

#: Seconds of a claim that names none. Not documented; the workers' own grace (Together API dossier 4.3).
CLAIM_SECONDS = 300

#: Seconds for which a queue belongs to a worker outside that was last seen pulling from it.
PULLER_SECONDS = 30

#: Finished jobs of one queue that are remembered.
KEPT_JOBS = 1000

_OVER = frozenset({"done", "failed", "canceled"})


class Jobs:
    """The queues of one engine."""

    def __init__(self, works: Works, shelves: ContainerShelves, bell: Bell) -> None:
        self._works = works
        self._shelves = shelves
        self._bell = bell

    def submit(self, queue: str, payload: dict[str, Any], info: dict[str, Any], priority: int) -> JobRecord:
        """Put a job into a queue."""
        job = JobRecord(
            id=new_id("req"),
            queue=queue,
            payload=payload,
            info=info,
            priority=priority,
            status="pending",
            created_at=self._now(),
        )
        with self._works.documents.transaction():
            self._forget_oldest(queue)
            self._shelves.jobs.put(job)
        self._bell.ring()
        return job

    def look(self, queue: str, job: str) -> JobRecord:
        """Read a job's present state.

        Raises:
            Refusal: The queue has no such job.
        """
        with self._works.documents.transaction():
            self._settle(queue)
            found = self._shelves.jobs.get(job)
        if found is None or found.queue != queue:
            raise not_found(f"The job {job} in the queue {queue}")
        return found

    def outputs(self, job: str) -> dict[str, Any] | None:
        """Read what a job gave; `None` before it has ended."""
        kept = self._shelves.outputs.get(job)
        return kept.outputs if kept else None

    def claim(self, queue: str, worker: str, seconds: int = CLAIM_SECONDS) -> JobRecord | None:
        """Give the next job to a worker: the highest priority first, among equals the oldest."""
        with self._works.documents.transaction():
            self._settle(queue)
            waiting = [job for job in self._shelves.jobs.all(queue) if job.status == "pending"]
            if not waiting:
                return None
            first = max(waiting, key=lambda job: job.priority)  # of equals the first, which is the oldest
            claimed = replace(
                first,
                status="running",
                claimed_at=self._now(),
                claim_seconds=seconds,
                claim_until=self._until(seconds),
                worker=worker,
            )
            return self._shelves.jobs.put(claimed)

    def report(
        self, queue: str, job: str, status: str, outputs: Mapping[str, Any], info: Mapping[str, Any]
    ) -> JobRecord:
        """Take a worker's word for how far a job has come.

        Raises:
            Refusal: There is no such job, or (409) nobody holds it any more: its claim ran out.
        """
        with self._works.documents.transaction():
            found = self.look(queue, job)
            if found.status != "running":
                message = f"The job {job} is {found.status}; its claim ran out, or it has ended already."
                raise Refusal(Rpc.ABORTED, message, reason="not_claimed")
            told = replace(found, info={**found.info, **info})
            if status == "running":
                return self._shelves.jobs.put(replace(told, claim_until=self._until(found.claim_seconds)))
            self._shelves.outputs.put(OutputsRecord(job, dict(outputs)))
            return self._shelves.jobs.put(self._over(told, status))

    def cancel(self, queue: str, job: str) -> JobRecord:
        """Cancel a job that nobody has claimed; any other stays as it is."""
        with self._works.documents.transaction():
            found = self.look(queue, job)
            if found.status != "pending":
                return found
            return self._shelves.jobs.put(self._over(found, "canceled"))

    def clear(self, queue: str) -> int:
        """Cancel every pending job of a queue; say how many there were."""
        with self._works.documents.transaction():
            self._settle(queue)
            waiting = [job for job in self._shelves.jobs.all(queue) if job.status == "pending"]
            for job in waiting:
                self._shelves.jobs.put(self._over(job, "canceled"))
        return len(waiting)

    def counts(self, queue: str) -> tuple[int, int]:
        """Count a queue's running and waiting jobs."""
        with self._works.documents.transaction():
            self._settle(queue)
            statuses = [job.status for job in self._shelves.jobs.all(queue)]
        return statuses.count("running"), statuses.count("pending")

    def pulled(self, queue: str, host: str) -> None:
        """Note that a worker outside of the engine pulls from a queue."""
        self._shelves.pullers.put(PullerRecord(queue, host, self._now()))

    def puller(self, queue: str) -> str | None:
        """Name the worker outside that a queue belongs to at present."""
        puller = self._shelves.pullers.get(queue)
        if puller is None:
            return None
        gone = self._works.clock.now() - moment_of(puller.seen_at) > timedelta(seconds=PULLER_SECONDS)
        return None if gone else puller.host

    def wake(self, queue: str) -> None:
        """Have the engine's own worker look at a queue again in which jobs wait."""
        if self.counts(queue)[1]:
            self._bell.ring()

    def _settle(self, queue: str) -> None:
        now = self._works.clock.now()
        for job in self._shelves.jobs.all(queue):
            if job.claim_until is not None and moment_of(job.claim_until) <= now:
                self._shelves.jobs.put(self._returned(job))

    def _returned(self, job: JobRecord) -> JobRecord:
        said = f"The worker {job.worker} said nothing for {job.claim_seconds} s."
        if job.retries >= MOST_RETRIES:
            error = {"code": "retries_exhausted", "message": f"{said} It was retried {job.retries} times."}
            return self._over(replace(job, info={**job.info, "error": error}), "failed")
        return replace(
            job,
            status="pending",
            claimed_at=None,
            claim_until=None,
            worker="",
            retries=job.retries + 1,
            warnings=[*job.warnings, said],
        )

    def _over(self, job: JobRecord, status: str) -> JobRecord:
        return replace(job, status=status, claim_until=None, done_at=self._now())

    def _forget_oldest(self, queue: str) -> None:
        over = [job for job in self._shelves.jobs.all(queue) if job.status in _OVER]
        for job in over[: max(0, len(over) - KEPT_JOBS + 1)]:
            self._shelves.jobs.delete(job.id)
            self._shelves.outputs.delete(job.id)

    def _until(self, seconds: int) -> str:
        return stamp(self._works.clock.now() + timedelta(seconds=seconds))

    def _now(self) -> str:
        return stamp(self._works.clock.now())
