"""Replicas behind an endpoint (Together API dossier 2.7)."""

from __future__ import annotations

from together.types import EndpointDeployment

from lorry.delivery.ports import DeploymentState, HostedDeployment, HostedModel
from lorry.errors import NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

_STATES = {
    "DEPLOYMENT_STATE_PROVISIONING": DeploymentState.STARTING,
    "DEPLOYMENT_STATE_READY": DeploymentState.READY,
    "DEPLOYMENT_STATE_STOPPING": DeploymentState.STOPPING,
    "DEPLOYMENT_STATE_STOPPED": DeploymentState.STOPPED,
    "DEPLOYMENT_STATE_FAILED": DeploymentState.FAILED,
}


class TogetherDeployments:
    """The port `Deployments`.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def list(self, endpoint: str) -> tuple[HostedDeployment, ...]:
        """List all deployments of an endpoint: its own summaries hold only the ten newest (2.6)."""
        doing = f"list the deployments of {endpoint}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            listed = self._at.client.endpoints.deployments.list(endpoint, project_id=project)
            found = [item async for item in listed]
        return self._at.read(doing, lambda: tuple(map(_deployment, found)))

    async def create(
        self, endpoint: str, name: str, model: HostedModel, revision: str, config: str
    ) -> HostedDeployment:
        """Deploy one revision with one replica; sent once."""
        doing = f"create the deployment {name!r}"
        project = await self._at.project()
        with self._at.faults.translated(doing):
            made = await self._at.client.endpoints.deployments.create(
                endpoint,
                project_id=project,
                name=name,
                model=f"{model.resource}/revisions/{revision}",
                config=config,
                autoscaling={"min_replicas": 1, "max_replicas": 1},
            )
        return self._at.read(doing, _deployment, made)

    async def look(self, endpoint: str, deployment: str) -> HostedDeployment | None:
        """Read one deployment's present state; `None` when it is not there."""
        present = await self._retrieve(endpoint, deployment)
        if present is None:
            return None
        return self._at.read(f"look at the deployment {deployment}", _deployment, present)

    async def stop(self, endpoint: str, deployment: str) -> None:
        """Scale a deployment to zero; one that is stopped or not there is fine.

        No etag goes along: whatever else changed meanwhile, it shall cost nothing any more.
        """
        present = await self.look(endpoint, deployment)
        if present is None or present.state is DeploymentState.STOPPED:
            return
        project = await self._at.project()
        try:
            with self._at.faults.translated(f"stop the deployment {deployment}"):
                await self._at.client.endpoints.deployments.update(
                    deployment,
                    project_id=project,
                    endpoint_id=endpoint,
                    autoscaling={"min_replicas": 0, "max_replicas": 0},  # 0 with a maximum above is refused
                    update_mask="autoscaling",
                )
        except NotThere:
            return

    async def delete(self, endpoint: str, deployment: str) -> None:
        """Delete a stopped deployment; one that is not there is fine."""
        present = await self._retrieve(endpoint, deployment)
        if present is None:
            return
        doing = f"delete the deployment {deployment}"
        etag = self._at.read(doing, text, present, "etag")
        project = await self._at.project()
        try:
            with self._at.faults.translated(doing):
                await self._at.client.endpoints.deployments.delete(
                    deployment, project_id=project, endpoint_id=endpoint, etag=etag
                )
        except NotThere:
            return

    async def _retrieve(self, endpoint: str, deployment: str) -> EndpointDeployment | None:
        project = await self._at.project()
        try:
            with self._at.faults.translated(f"look at the deployment {deployment}"):
                return await self._at.client.endpoints.deployments.retrieve(
                    deployment, project_id=project, endpoint_id=endpoint
                )
        except NotThere:
            return None


def _deployment(found: EndpointDeployment) -> HostedDeployment:
    state = state_of(text(found.status, "state"), found.status.ready_replicas or 0, found.desired_replicas)
    message = found.status.message or f"the platform says {found.status.state} and nothing more"
    return HostedDeployment(text(found, "id"), text(found, "name"), state, message)


def state_of(said: str, ready: int, desired: int | None) -> DeploymentState:
    """Read the platform's state as one of those that a delivery tells apart.

    SCALING and DEGRADED say too little alone: what counts is whether a replica answers, and whether any is
    wanted. A state that we do not know yet is on its way to somewhere; the platform's sentence says where.

    Args:
        said: `DEPLOYMENT_STATE_…`.
        ready: Replicas that answer now.
        desired: Replicas that shall be, where the platform says so.
    """
    known = _STATES.get(said)
    if known is not None:
        return known
    if desired == 0:
        return DeploymentState.STOPPING
    return DeploymentState.READY if ready > 0 else DeploymentState.STARTING
