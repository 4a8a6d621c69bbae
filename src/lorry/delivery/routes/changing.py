"""The calls that change or delete something at a platform, each as a change that is made once."""

from __future__ import annotations

from collections.abc import Mapping

from lorry.delivery.intents import Change
from lorry.delivery.ports import (
    Attachment,
    AttachmentState,
    DeploymentState,
    HostedDeployment,
    HostedEndpoint,
)
from lorry.delivery.run import Run

_RUNNING = (DeploymentState.STARTING, DeploymentState.READY, DeploymentState.DEGRADED)


async def route_traffic(run: Run, endpoint: HostedEndpoint, weights: Mapping[str, float]) -> bool:
    """Give an endpoint these weights and no others; says whether they were others."""
    port = run.platform.endpoints

    async def there() -> bool:
        found = await port.find(endpoint.name.rsplit("/", 1)[-1])
        return found is None or dict(found.weights) == dict(weights)

    change = Change(
        key=run.key("traffic"),
        kind="traffic",
        name=endpoint.name,
        what={"endpoint": endpoint.id, "weights": dict(weights)},
        there=there,
        act=lambda: port.route(endpoint.id, weights),
    )
    return await run.change(change)


async def stop_deployment(run: Run, endpoint: str, deployment: HostedDeployment) -> bool:
    """Scale a deployment to zero; says whether it ran."""
    port = run.platform.deployments

    async def there() -> bool:
        found = await port.look(endpoint, deployment.id)
        return found is None or found.state not in (*_RUNNING, DeploymentState.FAILED)

    change = Change(
        key=run.key(f"stop/{deployment.id}"),
        kind="stop",
        name=deployment.name,
        what={"endpoint": endpoint, "deployment": deployment.id, "replicas": 0},
        there=there,
        act=lambda: port.stop(endpoint, deployment.id),
    )
    return await run.change(change)


async def delete_deployment(run: Run, endpoint: str, deployment: HostedDeployment) -> bool:
    """Delete a deployment; says whether it was there."""
    port = run.platform.deployments

    async def gone() -> bool:
        return await port.look(endpoint, deployment.id) is None

    change = Change(
        key=run.key(f"delete/{deployment.id}"),
        kind="deletion of the deployment",
        name=deployment.name,
        what={"endpoint": endpoint, "deployment": deployment.id},
        there=gone,
        act=lambda: port.delete(endpoint, deployment.id),
    )
    return await run.change(change)


async def delete_endpoint(run: Run, endpoint: HostedEndpoint) -> bool:
    """Delete an endpoint; says whether it was there."""
    port = run.platform.endpoints

    async def gone() -> bool:
        found = await port.find(endpoint.name.rsplit("/", 1)[-1])
        return found is None or found.id != endpoint.id

    change = Change(
        key=run.key(f"delete/{endpoint.id}"),
        kind="deletion of the endpoint",
        name=endpoint.name,
        what={"endpoint": endpoint.id},
        there=gone,
        act=lambda: port.delete(endpoint.id),
    )
    return await run.change(change)


async def detach_adapter(run: Run, endpoint: str, deployment: str, attached: Attachment) -> bool:
    """Take an adapter off a deployment; says whether it was on it."""
    port = run.platform.attachments

    async def gone() -> bool:
        on = await port.list(endpoint, deployment)
        return all(each.id != attached.id or each.state is AttachmentState.REMOVING for each in on)

    change = Change(
        key=run.key("detach"),
        kind="detaching of the adapter",
        name=run.name,
        what={"endpoint": endpoint, "deployment": deployment, "attachment": attached.id},
        there=gone,
        act=lambda: port.detach(endpoint, deployment, attached.id),
    )
    return await run.change(change)
