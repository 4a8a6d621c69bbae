"""A deployment's states: what they are called outside, and how each becomes the next.

Starting and scaling end in ready, in degraded where the hardware has no room, or in failed; stopping ends in
stopped, all when the pace says so; failed is for ever. Everything is computed when somebody looks, from what
is stored, so that a restart changes nothing.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from lorry.engine.clock import moment_of, stamp
from lorry.engine.together.autoscaling import parse_duration
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.events import Events
from lorry.engine.together.loading import Loading
from lorry.engine.together.metering import Meter
from lorry.engine.together.records import DeploymentRecord, Shelves
from lorry.engine.works import Works
from lorry.errors import ExtraMissing, LorryError

STATES = {
    "starting": ("DEPLOYMENT_STATE_PROVISIONING", "The replicas are about to start."),
    "ready": ("DEPLOYMENT_STATE_READY", "All replicas are ready."),
    "scaling": ("DEPLOYMENT_STATE_SCALING", "The number of replicas is being changed."),
    "degraded": ("DEPLOYMENT_STATE_DEGRADED", "Fewer replicas run than were asked for."),
    "stopping": ("DEPLOYMENT_STATE_STOPPING", "The replicas are being stopped."),
    "stopped": ("DEPLOYMENT_STATE_STOPPED", "No replica runs."),
    "failed": ("DEPLOYMENT_STATE_FAILED", "The deployment failed."),
}

_LEVELS = {"failed": "LEVEL_ERROR", "degraded": "LEVEL_WARN"}

#: More steps than any chain of states has; what does not come to rest by then is a fault of ours.
_MOST_STEPS = 10


class Lifecycle:
    """What moves the deployments of one engine from state to state."""

    def __init__(
        self, works: Works, shelves: Shelves, loading: Loading, capacity: Capacity, events: Events
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._loading = loading
        self._capacity = capacity
        self._events = events
        self._meter = Meter(works, shelves, capacity)
        # One at a time, so that two looks at once don't load or report twice.
        self._settling = threading.RLock()

    def look(self, record: DeploymentRecord, *, counts: bool = True) -> DeploymentRecord:
        """Bring a deployment's state up to date.

        Args:
            record: What was read.
            counts: Whether somebody outside looked (and not the engine itself).
        """
        with self._settling:
            present = self._shelves.deployments.get(record.id)
            if present is None:
                return record
            if present.phase in ("stopped", "failed"):
                return present
            settled = replace(present, looks=present.looks + counts)
            for _ in range(_MOST_STEPS):
                before, settled = settled, self._step(settled)
                if settled == before:
                    break
            return settled if settled == present else self._shelves.deployments.put(settled)

    def entered(
        self, record: DeploymentRecord, phase: str, message: str = "", replicas: int | None = None
    ) -> DeploymentRecord:
        """Put a deployment into a phase and write that into its history, both or neither.

        The etag stays: it is of what was asked for, not of how far that has come.

        Args:
            record: The deployment.
            phase: The phase.
            message: What is said about it; the phase's own sentence when omitted.
            replicas: Replicas that answer from now on; as many as before when omitted.
        """
        state, sentence = STATES[phase]
        now = stamp(self._works.clock.now())
        changed = replace(
            record,
            phase=phase,
            since=now,
            looks=0,
            message=message or sentence,
            updated_at=now,
            replicas=record.replicas if replicas is None else replicas,
        )
        with self._works.documents.transaction():
            self._meter.count(record, changed)
            self._events.note(
                "deployment.status_updated",
                record.endpoint_id,
                changed.message,
                deployment=record.id,
                level=_LEVELS.get(phase, "LEVEL_INFO"),
                status=state,
            )
            return self._shelves.deployments.put(changed)

    def fail(self, deployment: str, message: str) -> None:
        """End a deployment as failed, whatever it was about to become; one that has ended is left alone."""
        with self._settling:
            present = self._shelves.deployments.get(deployment)
            if present is not None and present.phase not in ("stopped", "failed"):
                self._loading.release(present)
                self.entered(present, "failed", message, replicas=0)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else move a state during the block; others may read and write records meanwhile."""
        with self._settling:
            yield

    @contextmanager
    def still(self) -> Iterator[None]:
        """Keep every deployment's state as it is while the block changes one."""
        with self._settling, self._works.documents.transaction():
            yield

    def used(self, record: DeploymentRecord) -> None:
        """Note that a deployment was asked for something now."""
        with self.still():
            if present := self._shelves.deployments.get(record.id):
                self._shelves.deployments.put(replace(present, used_at=stamp(self._works.clock.now())))

    def _step(self, record: DeploymentRecord) -> DeploymentRecord:
        now = self._works.clock.now()
        over = self._works.config.pace.over(since=moment_of(record.since), looks=record.looks, now=now)
        if record.phase in ("starting", "scaling") and over:
            return self._run(record)
        if record.phase == "stopping" and over:
            self._loading.release(record)
            return self.entered(record, "stopped")
        if record.phase == "degraded" and self._room(record) > record.replicas:
            return self.entered(record, "scaling" if record.replicas else "starting")
        if record.phase == "ready" and (idle := self._idle_limit(record)) is not None:
            used = moment_of(record.used_at or record.since)
            if now - used >= idle:
                return self._idle(record, idle)
        return record

    def _run(self, record: DeploymentRecord) -> DeploymentRecord:
        wanted, room = _wanted(record), self._room(record)
        if room:
            try:
                self._loading.load(self._loading.served(record))
            except LorryError as error:
                return self.entered(record, "failed", told(error), replicas=0)
        if room == wanted:
            return self.entered(record, "ready", replicas=wanted)
        hardware = self._capacity.hardware(record).name
        message = f"Insufficient GPU capacity: {room} of {wanted} replicas of {hardware} fit now."
        return self.entered(record, "degraded", message, replicas=room)

    def _room(self, record: DeploymentRecord) -> int:
        """Say how many of the wanted replicas fit."""
        free = self._capacity.free(self._capacity.hardware(record), apart_from=record.id)
        return _wanted(record) if free is None else min(_wanted(record), free)

    def _idle(self, record: DeploymentRecord, idle: timedelta) -> DeploymentRecord:
        minutes = round(idle.total_seconds() / 60)
        none = {**record.autoscaling, "minReplicas": 0, "maxReplicas": 0}
        record = replace(record, autoscaling=none, etag=new_etag())
        return self.entered(record, "stopping", f"No request came for {minutes} minutes.", replicas=0)

    def _idle_limit(self, record: DeploymentRecord) -> timedelta | None:
        limits = [timedelta(minutes=record.inactive_timeout)] if record.inactive_timeout else []
        if window := record.autoscaling.get("scaleToZeroWindow"):
            limits.append(parse_duration(window))
        return min(limits, default=None)


def _wanted(record: DeploymentRecord) -> int:
    return int(record.autoscaling["minReplicas"])


def told(error: LorryError) -> str:
    """Give an error's sentence, with the command where something has to be installed."""
    return f"{error.message} {error.fix}" if isinstance(error, ExtraMissing) and error.fix else error.message


def new_etag() -> str:
    """Make the tag of a new version."""
    return secrets.token_hex(8)
