"""Adapters on running deployments (Together API dossier 2.8)."""

from __future__ import annotations

from collections.abc import Sequence

from together.types.endpoints import (
    AdapterCreateResponse,
    AdapterListResponse,
    AdapterRetrieveResponse,
    DeploymentAdapterStatus,
)

from lorry.delivery.ports import Attachment, AttachmentState
from lorry.errors import NotThere
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
        # Ids grow with time, and rows carry no date (types/endpoints/adapter_list_response.py).
        return self._at.read(doing, lambda: tuple(map(_attachment, sorted(rows, key=lambda row: row.id))))

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
        """Take an adapter off; one that is not there is fine."""
        doing = f"take the adapter {attachment} off"
        project = await self._at.project()
        adapters = self._at.client.endpoints.adapters
        try:
            with self._at.faults.translated(doing):
                present = await adapters.retrieve(
                    attachment, project_id=project, endpoint_id=endpoint, deployment_id=deployment
                )
                await adapters.delete(
                    attachment,
                    project_id=project,
                    endpoint_id=endpoint,
                    deployment_id=deployment,
                    etag=self._at.read(doing, text, present, "etag"),
                )
        except NotThere:
            return


def _attachment(row: _Row) -> Attachment:
    clusters = row.per_cluster or []
    state, worst = _worst(clusters)
    message = said = ""
    if worst is not None:
        said = worst.state or ""
        message = worst.adapter_valid_reason or worst.message or worst.reason or ""
    return Attachment(
        text(row, "id"), text(row, "adapter_model_id"), row.desired_revision_id or "", state, message, said
    )


def _worst(
    clusters: Sequence[DeploymentAdapterStatus],
) -> tuple[AttachmentState, DeploymentAdapterStatus | None]:
    """Give the state over all clusters, with the cluster that it is read from.

    An adapter that a cluster calls invalid has failed, whatever else that cluster says.
    """
    if not clusters:
        return AttachmentState.LOADING, None

    def state_of(row: DeploymentAdapterStatus) -> AttachmentState:
        if row.adapter_valid is False:
            return AttachmentState.FAILED
        return _STATES.get((row.state or "").removeprefix(_PREFIX), AttachmentState.LOADING)

    worst = min(clusters, key=lambda row: _ORDER.index(state_of(row)))
    return state_of(worst), worst
