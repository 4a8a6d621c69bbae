"""A container's states: what they are called outside, and how each becomes the next.

Starting ends in ready or failed when the pace says so; a container that may have no replica falls asleep when
nothing was asked of it for a while, and wakes when something is. Everything is computed when somebody looks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from lorry.engine.api_errors import Refusal
from lorry.engine.clock import moment_of, stamp
from lorry.engine.containers.crew import OURS, Crew, Posting
from lorry.engine.containers.jobs import Jobs
from lorry.engine.containers.metering import ContainerMeter
from lorry.engine.containers.records import ContainerRecord, ContainerShelves, LogRecord
from lorry.engine.documents import new_id
from lorry.engine.works import Works
from lorry.errors import LorryError

STATUS = {
    "updating": "Updating",
    "scaling": "Scaling",
    "ready": "Ready",
    "failed": "Failed",
    "asleep": "ScaledToZero",
}

#: Without a job or a request for so long a container with min_replicas 0 has none left. How long Together
#: waits is not published; this is the default window of its HTTP metrics (`time_interval_minutes`).
IDLE = timedelta(minutes=10)

#: Lines of one container's logs that are kept.
KEPT_LINES = 2000


class States:
    """What moves the containers of one engine from state to state.

    Args:
        works: State and time.
        shelves: The records.
        jobs: The queues.
        crew: The workers.
        posting: Says what the worker of a container is told.
    """

    def __init__(
        self,
        works: Works,
        shelves: ContainerShelves,
        jobs: Jobs,
        crew: Crew,
        posting: Callable[[ContainerRecord], Posting],
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._jobs = jobs
        self._crew = crew
        self._posting = posting
        self._meter = ContainerMeter(works)
        self._settling = threading.RLock()

    def resume(self) -> None:
        """Have the workers of all ready containers work again, after a restart."""
        with self._settling:
            for record in self._shelves.containers.all():
                if record.phase == "ready":
                    self._started(record)

    def look(self, record: ContainerRecord, *, counts: bool = True) -> ContainerRecord:
        """Bring a container's state up to date.

        Args:
            record: What was read.
            counts: Whether somebody outside looked (and not the engine itself).
        """
        with self._settling:
            present = self._shelves.containers.get(record.id)
            if present is None:
                return record
            looked = replace(present, looks=present.looks + counts)
            settled = self._settled(looked)
            return settled if settled == present else self._shelves.containers.put(settled)

    def ask(self, record: ContainerRecord) -> ContainerRecord:
        """Note that something is asked of a container now; one that is asleep begins to wake."""
        with self._settling:
            present = replace(self.look(record, counts=False), used_at=stamp(self._works.clock.now()))
            if present.phase == "asleep" and present.spec["max_replicas"] > 0:
                present = self._entered(present, "scaling", "", "A replica is being started.")
            self._shelves.containers.put(present)
            return self.look(present, counts=False)

    def begin(self, record: ContainerRecord) -> ContainerRecord:
        """Start a container anew, with the revision that is now active."""
        with self._settling:
            self._crew.stop(record.id)
            changed = replace(record, used_at=stamp(self._works.clock.now()))
            if record.spec["max_replicas"] == 0:
                changed = self._entered(changed, "asleep", "", "It is to have no replica.")
            else:
                changed = self._entered(
                    changed, "updating", "ContainerCreating", "The image is being pulled."
                )
            self._shelves.containers.put(changed)
            return self.look(changed, counts=False)

    def end(self, record: ContainerRecord) -> None:
        """Stop a container that is about to be forgotten."""
        with self._settling:
            self._crew.stop(record.id)
            self._meter.count(record, running=False)

    def log(self, container: str, line: str) -> None:
        """Write a line into a container's logs."""
        record = self._shelves.containers.get(container)
        if record is None:
            return
        at = stamp(self._works.clock.now())
        with self._works.documents.transaction():
            self._shelves.logs.put(LogRecord(new_id("log"), container, record.revision_id, at, line))
            lines = self._shelves.logs.all(container)
            for old in lines[: max(0, len(lines) - KEPT_LINES)]:
                self._shelves.logs.delete(old.id)

    def _settled(self, record: ContainerRecord) -> ContainerRecord:
        now = self._works.clock.now()
        over = self._works.config.pace.over(since=moment_of(record.since), looks=record.looks, now=now)
        if record.phase in ("updating", "scaling") and over:
            return self._started(record)
        if record.phase == "ready" and record.spec["min_replicas"] == 0:
            used = moment_of(record.used_at or record.since)
            if now - used >= IDLE and self._jobs.counts(record.name) == (0, 0):
                self._crew.stop(record.id)
                minutes = round(IDLE.total_seconds() / 60)
                return self._entered(record, "asleep", "", f"Nothing was asked of it for {minutes} minutes.")
        return record

    def _started(self, record: ContainerRecord) -> ContainerRecord:
        name = record.spec["image"].rpartition("/")[2].partition("@")[0].partition(":")[0]
        if OURS.fullmatch(name) is None:
            message = (
                f"This engine runs no Docker, so it can't run {record.spec['image']}; it serves images named "
                "lorry-worker… itself, and queues from which a worker of yours pulls."
            )
            self.log(record.id, message)
            return self._entered(record, "failed", "ImagePullBackOff", message)
        try:
            self._crew.start(self._posting(record))
        except (LorryError, Refusal) as error:
            self.log(record.id, f"error: {error.message}")
            return self._entered(record, "failed", "CrashLoopBackOff", error.message)
        if record.phase == "ready":
            return record
        ready = self._entered(record, "ready", "", "The replica is ready.")
        return replace(ready, ready_at=ready.since)

    def _entered(self, record: ContainerRecord, phase: str, reason: str, message: str) -> ContainerRecord:
        now = stamp(self._works.clock.now())
        if "ready" in (record.phase, phase) and record.phase != phase:
            self._meter.count(record, running=phase == "ready")
        return replace(
            record, phase=phase, since=now, looks=0, reason=reason, message=message, updated_at=now
        )
