"""How an attached adapter gets from asked-for to acting, and away again.

Pending waits for the deployment; loading ends in ready or failed; removing ends in nothing. As with
deployments, everything is computed when somebody looks.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from lorry.engine.clock import moment_of, stamp
from lorry.engine.language_serving import LanguageServing
from lorry.engine.together.events import Events
from lorry.engine.together.lifecycle import Lifecycle, told
from lorry.engine.together.loading import Loading, Served
from lorry.engine.together.records import AttachmentRecord, DeploymentRecord, Shelves
from lorry.engine.works import Works
from lorry.errors import LorryError

#: Pending, loading, ready: no chain of states is longer.
_MOST_STEPS = 4


class Attaching:
    """What moves the attached adapters of one engine from state to state."""

    def __init__(
        self,
        works: Works,
        shelves: Shelves,
        lifecycle: Lifecycle,
        loading: Loading,
        language: LanguageServing,
        events: Events,
    ) -> None:
        self._works = works
        self._shelves = shelves
        self._lifecycle = lifecycle
        self._loading = loading
        self._language = language
        self._events = events

    def alone(self) -> AbstractContextManager[None]:
        """Keep every attachment and deployment as it is while the block changes one."""
        return self._lifecycle.alone()

    def look(
        self, owner: DeploymentRecord, record: AttachmentRecord, *, counts: bool = True
    ) -> AttachmentRecord | None:
        """Bring an attachment's state up to date.

        Args:
            owner: Its deployment.
            record: What was read.
            counts: Whether somebody outside looked (and not the engine itself).

        Returns:
            The attachment; `None` once it is removed.
        """
        with self.alone():
            owner = self._lifecycle.look(owner, counts=False)
            present = self._shelves.attachments.get(record.id)
            settled = replace(present, looks=present.looks + counts) if present else None
            for _ in range(_MOST_STEPS):
                if settled is None:
                    return None
                before, settled = settled, self._step(owner, settled)
                if settled == before:
                    break
            return settled if settled in (None, present) else self._shelves.attachments.put(settled)

    def look_at_all(self, owner: DeploymentRecord, *, counts: bool = True) -> list[AttachmentRecord]:
        """Look at everything that is attached to a deployment, oldest first."""
        looked = [self.look(owner, row, counts=counts) for row in self._shelves.attachments.all(owner.id)]
        return [row for row in looked if row is not None]

    def pin(self, owner: DeploymentRecord, record: AttachmentRecord, message: str) -> AttachmentRecord:
        """Write down what is asked for, and begin to bring it about.

        Args:
            owner: The deployment.
            record: The attachment, new or with another revision.
            message: What happened, for the history.
        """
        now = stamp(self._works.clock.now())
        phase = "loading" if record.realized_id else "pending"
        with self._works.documents.transaction():
            self._note(owner, "adapter.pinned", message)
            return self._shelves.attachments.put(
                replace(record, phase=phase, since=now, updated_at=now, looks=0, reason="", message="")
            )

    def remove(self, owner: DeploymentRecord, record: AttachmentRecord) -> None:
        """Begin to take an adapter away; from now on requests for it are refused."""
        with self.alone():
            with self._works.documents.transaction():
                self._note(owner, "adapter.removing", f"The adapter {record.model_id} is being removed.")
                removing = self._entered(record, "removing")
            self.look(owner, removing, counts=False)

    def clear(self, owner: DeploymentRecord) -> None:
        """Forget everything that is attached to a deployment that goes away."""
        with self.alone():
            for record in self._shelves.attachments.all(owner.id):
                self._forget(record)

    def _step(self, owner: DeploymentRecord, record: AttachmentRecord) -> AttachmentRecord | None:
        over = self._works.config.pace.over(
            since=moment_of(record.since), looks=record.looks, now=self._works.clock.now()
        )
        if record.phase == "removing":
            if not over:
                return record
            self._forget(record)
            return None
        if not owner.serving:
            return self._waiting(record)
        if record.phase == "pending" and over:
            return self._entered(record, "loading")
        if record.phase == "loading" and over:
            return self._load(owner, record)
        return record

    def _waiting(self, record: AttachmentRecord) -> AttachmentRecord:
        if record.phase not in ("loading", "ready"):
            return record
        self._release(record)
        return replace(self._entered(record, "pending"), realized_id="")

    def _load(self, owner: DeploymentRecord, record: AttachmentRecord) -> AttachmentRecord:
        base, _ = self._loading.config(owner)
        before = record.realized_id
        try:
            needed = self._loading.adapter(base, record.revision_id)
            self._loading.load(Served(base, needed))
            self._language.probe(needed.key)
        except LorryError as error:
            failed = self._entered(record, "failed", error.code, told(error))
            self._note(owner, "adapter.failed", failed.message, "LEVEL_ERROR")
            return failed
        now = stamp(self._works.clock.now())
        ready = replace(
            self._entered(record, "ready"), realized_id=record.revision_id, loaded_at=record.loaded_at or now
        )
        self._shelves.attachments.put(ready)
        if before and before != ready.realized_id:
            self._loading.release_revision(before)
        self._note(owner, "adapter.ready", f"The adapter {record.model_id} acts.")
        return ready

    def _entered(
        self, record: AttachmentRecord, phase: str, reason: str = "", message: str = ""
    ) -> AttachmentRecord:
        now = stamp(self._works.clock.now())
        changed = replace(
            record, phase=phase, since=now, updated_at=now, looks=0, reason=reason, message=message
        )
        return self._shelves.attachments.put(changed)

    def _forget(self, record: AttachmentRecord) -> None:
        self._shelves.attachments.delete(record.id)
        self._release(record)

    def _release(self, record: AttachmentRecord) -> None:
        for revision in {record.revision_id, record.realized_id} - {""}:
            self._loading.release_revision(revision, apart_from=record.id)

    def _note(self, owner: DeploymentRecord, kind: str, message: str, level: str = "LEVEL_INFO") -> None:
        self._events.note(kind, owner.endpoint_id, message, deployment=owner.id, level=level)
