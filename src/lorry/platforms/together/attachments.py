"""Adapters on running deployments (Together API dossier 2.8)."""

from __future__ import annotations

from together.types.endpoints import (
    AdapterCreateResponse,
    AdapterListResponse,
    AdapterRetrieveResponse,
    DeploymentAdapterStatus,
)

from lorry.delivery.ports import Attachment, AttachmentState
from lorry.errors import Conflict, NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

_PREFIX = "ADAPTER_LOAD_STATE_"
_STATES = {
    "REMOVING": AttachmentState.REMOVING,
    "FAILED": AttachmentState.FAILED,
    "READY": AttachmentState.READY,
}
#: Of the states of several clusters, the one that is told: what goes wrong first, what is ready last.
_ORDER = (AttachmentState.REMOVING, AttachmentState.FAILED, AttachmentState.LOADING, AttachmentState.READY)

#: How often the removal of an adapter that changes meanwhile is sent.
_ATTEMPTS = 4

_Row = AdapterListResponse | AdapterCreateResponse | AdapterRetrieveResponse


class TogetherAttachments:
    """The port `Attachments`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def list(self, endpoint: str, deployment: str) -> tuple[Attachment, ...]:
        """List the adapters on a deployment, oldest first; none when it is not there."""
        doing = f"list the adapters on {deployment}"
        project = await self._at.project()
        try:
            with self._at.faults.translated(doing):
                listed = self._at.client.endpoints.adapters.list(
                    deployment_id=deployment, project_id=project, endpoint_id=endpoint
                )
                rows = [row async for row in listed]
        except NotThere:
            return ()
        # Nothing is promised of the order, and rows have no date but the one at which they were loaded.
        return self._at.read(doing, lambda: tuple(map(_attachment, sorted(rows, key=_loaded))))

    async def attach(
        self, endpoint: str, deployment: str, model: str, revision: str, *, evict: bool
    ) -> Attachment:
        """Attach an adapter; sent once. With `evict` the oldest leaves when there is no place."""
        doing = f"attach the adapter {model}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.endpoints.adapters.create(
                deployment_id=deployment,
                project_id=project,
                endpoint_id=endpoint,
                adapter_model_id=model,
                adapter_revision_id=revision,
                force=evict,
            )
        return self._at.read(doing, _attachment, made)

    async def detach(self, endpoint: str, deployment: str, attachment: str) -> None:
        """Take an adapter off; one that is being taken off or not there is fine.

        The platform wants the etag of what was read (2.8); when it changed in between, it is read again.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._detach(endpoint, deployment, attachment)
            except Conflict:
                continue
        return await self._detach(endpoint, deployment, attachment)

    async def _detach(self, endpoint: str, deployment: str, attachment: str) -> None:
        doing = f"take the adapter {attachment} off"
        adapters, project = self._at.client.endpoints.adapters, await self._at.project()
        try:
            with self._at.faults.translated(doing):
                present = await adapters.retrieve(
                    attachment, project_id=project, endpoint_id=endpoint, deployment_id=deployment
                )
                if self._at.read(doing, _attachment, present).state is AttachmentState.REMOVING:
                    return
                await adapters.delete(
                    attachment,
                    project_id=project,
                    endpoint_id=endpoint,
                    deployment_id=deployment,
                    etag=self._at.read(doing, text, present, "etag"),
                )
        except NotThere:
            return


def _loaded(row: AdapterListResponse) -> tuple[bool, str]:
    """Order adapters by the time at which the first cluster had them; those that none has yet come last."""
    times = [str(each.loaded_at) for each in row.per_cluster or [] if each.loaded_at is not None]
    return (not times, min(times, default=""))


def _attachment(row: _Row) -> Attachment:
    revision = row.desired_revision_id or ""
    said = message = ""
    state = AttachmentState.LOADING  # until a cluster has heard of it
    clusters = row.per_cluster or []
    if clusters:
        worst = min(clusters, key=lambda each: _ORDER.index(state_of(each, revision)))
        state, said = state_of(worst, revision), worst.state or ""
        message = worst.adapter_valid_reason or worst.message or worst.reason or ""
    return Attachment(text(row, "id"), text(row, "adapter_model_id"), revision, state, message, said)


def state_of(row: DeploymentAdapterStatus, revision: str) -> AttachmentState:
    """Read how far an adapter has come on one cluster.

    One that the platform's own probe calls invalid has failed, whatever else the cluster says; one that is
    ready with another revision still loads ours.

    Args:
        row: What the cluster says.
        revision: Id of the revision that shall be loaded.
    """
    state = _STATES.get((row.state or "").removeprefix(_PREFIX), AttachmentState.LOADING)
    if row.adapter_valid is False and state is not AttachmentState.REMOVING:
        return AttachmentState.FAILED
    other = row.realized_revision_id not in (None, "", revision)
    return AttachmentState.LOADING if state is AttachmentState.READY and other else state
