"""A deployment's states: what they are called outside, and how each becomes the next.

Starting ends in ready or failed, stopping ends in stopped, both when the pace says so; failed is for ever.
Everything is computed when somebody looks, from what is stored, so that a restart changes nothing.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from lorry.engine.clock import moment_of, stamp
from lorry.engine.serving import Needed, Serving
from lorry.engine.together.autoscaling import parse_duration
from lorry.engine.together.catalog import BASE_MODEL_ID
from lorry.engine.together.events import Events
from lorry.engine.together.records import DeploymentRecord, Shelves
from lorry.engine.together.revisions import Revisions
from lorry.engine.works import Works
from lorry.errors import AdapterUnusable, LorryError

STATES = {
    "starting": ("DEPLOYMENT_STATE_PROVISIONING", "The adapter is about to be loaded."),
    "ready": ("DEPLOYMENT_STATE_READY", "The replica is ready."),
    "stopping": ("DEPLOYMENT_STATE_STOPPING", "The replica is being stopped."),
    "stopped": ("DEPLOYMENT_STATE_STOPPED", "No replica runs."),
    "failed": ("DEPLOYMENT_STATE_FAILED", "The deployment failed."),
}

_LEVELS = {"failed": "LEVEL_ERROR"}


class Lifecycle:
    """What moves the deployments of one engine from state to state."""

    def __init__(
        self, works: Works, shelves: Shelves, revisions: Revisions, serving: Serving, events: Events
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._revisions = revisions
        self._serving = serving
        self._events = events
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
            looked = replace(present, looks=present.looks + counts)
            settled = self._settled(looked)
            return settled if settled == present else self._shelves.deployments.put(settled)

    def entered(self, record: DeploymentRecord, phase: str, message: str = "") -> DeploymentRecord:
        """Put a deployment into a phase and write that into its history, both or neither.

        The etag stays: it is of what was asked for, not of how far that has come.
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
        )
        with self._works.documents.transaction():
            self._events.note(
                "deployment.status_updated",
                record.endpoint_id,
                changed.message,
                deployment=record.id,
                level=_LEVELS.get(phase, "LEVEL_INFO"),
                status=state,
            )
            return self._shelves.deployments.put(changed)

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

    def needed(self, record: DeploymentRecord) -> Needed | None:
        """Say which adapter a deployment draws with; the base alone needs none.

        Raises:
            AdapterUnusable: Its files are gone.
        """
        if record.model_id == BASE_MODEL_ID:
            return None
        revision = self._shelves.revisions.get(record.revision_id)
        if revision is None or revision.weights is None:
            raise AdapterUnusable(f"The revision {record.revision_id} is not there any more.")
        return Needed(revision.id, self._revisions.folder(revision.id) / revision.weights)

    def resume(self, record: DeploymentRecord) -> Needed | None:
        """Have a ready deployment's adapter loaded (again, after a restart)."""
        needed = self.needed(record)
        if needed:
            self._serving.keep(needed)
        return needed

    def _settled(self, record: DeploymentRecord) -> DeploymentRecord:
        now = self._works.clock.now()
        over = self._works.config.pace.over(since=moment_of(record.since), looks=record.looks, now=now)
        if record.phase == "starting" and over:
            return self._start(record)
        if record.phase == "ready" and (idle := self._idle_limit(record)) is not None:
            used = moment_of(record.used_at or record.since)
            if now - used >= idle:
                return self._idle(record, now, idle)
        if record.phase == "stopping" and over:
            self._release(record)
            return self.entered(record, "stopped")
        return record

    def _start(self, record: DeploymentRecord) -> DeploymentRecord:
        revision = self._shelves.revisions.get(record.revision_id)
        try:
            needed = self.needed(record)
            loaded = self._serving.keep(needed) if needed else None
        except LorryError as error:
            return self.entered(record, "failed", error.message)
        if revision and loaded and loaded.modules != revision.modules:
            self._serving.release(loaded.key)
            return self.entered(
                record,
                "failed",
                f"The adapter was injected into {loaded.modules} layers of the base model, but the check of "
                f"its file predicted {revision.modules}.",
            )
        return self.entered(record, "ready")

    def _idle(self, record: DeploymentRecord, now: datetime, idle: timedelta) -> DeploymentRecord:
        minutes = round(idle.total_seconds() / 60)
        none = {**record.autoscaling, "minReplicas": 0, "maxReplicas": 0}
        record = replace(record, autoscaling=none, etag=new_etag())
        stopping = self.entered(record, "stopping", f"No request came for {minutes} minutes.")
        over = self._works.config.pace.over(since=now, looks=0, now=now)
        if not over:
            return stopping
        self._release(stopping)
        return self.entered(stopping, "stopped")

    def _idle_limit(self, record: DeploymentRecord) -> timedelta | None:
        limits = [timedelta(minutes=record.inactive_timeout)] if record.inactive_timeout else []
        if window := record.autoscaling.get("scaleToZeroWindow"):
            limits.append(parse_duration(window))
        return min(limits, default=None)

    def _release(self, record: DeploymentRecord) -> None:
        others = [
            other
            for other in self._shelves.deployments.all()
            if other.id != record.id
            and other.revision_id == record.revision_id
            and other.phase in ("starting", "ready")
        ]
        if not others:
            self._serving.release(record.revision_id)


def new_etag() -> str:
    """Make the tag of a new version."""
    return secrets.token_hex(8)
