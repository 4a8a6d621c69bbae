"""Replicas behind an endpoint (Together API dossier 2.7)."""

from __future__ import annotations

from together import omit
from together.types import DeploymentAutoscalingParam, EndpointDeployment

from lorry.delivery.ports import DeploymentOrder, DeploymentState, HostedDeployment, Scaling
from lorry.errors import NotThere
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text
from lorry.platforms.together.outcomes import deployment_error

_STATES = {
    "DEPLOYMENT_STATE_PROVISIONING": DeploymentState.STARTING,
    "DEPLOYMENT_STATE_READY": DeploymentState.READY,
    "DEPLOYMENT_STATE_STOPPING": DeploymentState.STOPPING,
    "DEPLOYMENT_STATE_STOPPED": DeploymentState.STOPPED,
    "DEPLOYMENT_STATE_FAILED": DeploymentState.FAILED,
}
_DEGRADED = "DEPLOYMENT_STATE_DEGRADED"


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

    async def create(self, endpoint: str, order: DeploymentOrder) -> HostedDeployment:
        """Make a deployment; sent once."""
        doing = f"create the deployment {order.name!r}"
        made = await self._send(doing, endpoint, order, validate_only=False)
        return self._at.read(doing, _deployment, made)

    async def validate(self, endpoint: str, order: DeploymentOrder) -> None:
        """Have the platform check a deployment without making it (`validateOnly`, 2.7).

        Raises:
            PlatformError: It objects.
        """
        await self._send(f"check the deployment {order.name!r}", endpoint, order, validate_only=True)

    async def _send(
        self, doing: str, endpoint: str, order: DeploymentOrder, *, validate_only: bool
    ) -> EndpointDeployment:
        project = await self._at.project()
        with self._at.faults.translated(doing):
            return await self._at.client.endpoints.deployments.create(
                endpoint,
                project_id=project,
                name=order.name,
                model=order.model,
                config=order.config,
                autoscaling=_autoscaling(order.scaling),
                inactive_timeout=order.scaling.inactive_minutes or omit,
                validate_only=True if validate_only else omit,
            )

    async def start(self, endpoint: str, deployment: str, scaling: Scaling) -> None:
        """Give a stopped deployment its replicas again; while it is stopping that is refused (2.7)."""
        project = await self._at.project()
        with self._at.faults.translated(f"start the deployment {deployment}"):
            await self._at.client.endpoints.deployments.update(
                deployment,
                project_id=project,
                endpoint_id=endpoint,
                autoscaling=_autoscaling(scaling),
                inactive_timeout=scaling.inactive_minutes,
                update_mask="autoscaling,inactiveTimeout",
            )

    async def scale(self, endpoint: str, deployment: str, scaling: Scaling) -> None:
        """Change how many replicas run, and nothing else; a stopped deployment starts."""
        project = await self._at.project()
        with self._at.faults.translated(f"scale the deployment {deployment}"):
            await self._at.client.endpoints.deployments.update(
                deployment,
                project_id=project,
                endpoint_id=endpoint,
                autoscaling=_autoscaling(scaling),
                update_mask="autoscaling",
            )

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


def _autoscaling(scaling: Scaling) -> DeploymentAutoscalingParam:
    wanted: DeploymentAutoscalingParam = {
        "min_replicas": scaling.min_replicas,
        "max_replicas": scaling.max_replicas,
    }
    if scaling.idle_window is not None:
        wanted["scale_to_zero_window"] = f"{scaling.idle_window}s"
    return wanted


def _deployment(found: EndpointDeployment) -> HostedDeployment:
    said, ready = text(found.status, "state"), found.status.ready_replicas or 0
    desired = found.desired_replicas
    message = found.status.message or f"the platform says {said} and nothing more"
    return HostedDeployment(
        id=text(found, "id"),
        name=text(found, "name"),
        state=state_of(said, ready, desired),
        message=message,
        said=said,
        model=found.model or "",
        config=found.config or "",
        replicas=(ready, desired or 0),
        fault=deployment_error(said, message),
    )


def state_of(said: str, ready: int, desired: int | None) -> DeploymentState:
    """Read the platform's state as one of those that a delivery tells apart.

    SCALING and DEGRADED say too little alone: what counts is whether a replica answers, and whether any is
    wanted. With fewer replicas than it shall have a deployment answers, so it is ready; with none it waits,
    for capacity perhaps. A state that we do not know yet is on its way to somewhere; the platform's sentence
    says where.

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
    if ready > 0:
        return DeploymentState.READY
    return DeploymentState.DEGRADED if said == _DEGRADED else DeploymentState.STARTING
