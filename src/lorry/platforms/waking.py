"""Starting a placement that sleeps, and looking how far it is: `generation.gateway.waking.Sleeper`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lorry.delivery.ports import DeploymentState, HostedDeployment, Platform, Scaling
from lorry.errors import DeploymentFailed, NotReady
from lorry.generation.gateway.waking import Seen
from lorry.model.serving import Place

_STAGES = {DeploymentState.STARTING: "loading", DeploymentState.DEGRADED: "loading"}


class PlatformSleeper:
    """Starts deployments.

    Args:
        platform_of: Gives the platform of a place.
    """

    def __init__(self, platform_of: Callable[[Place], Awaitable[Platform]]) -> None:
        self._platform_of = platform_of

    async def start(self, place: Place) -> None:
        """Ask the platform to start it, with the replicas that it was shipped with."""
        options = place.placement.options
        scaling = Scaling(
            options.min_replicas, options.max_replicas, options.inactive_minutes or 0, options.idle_window
        )
        platform, endpoint, deployment = await self._where(place)
        await platform.deployments.start(endpoint, deployment, scaling)

    async def look(self, place: Place) -> Seen:
        """Look how far it is."""
        platform, endpoint, deployment = await self._where(place)
        found = await platform.deployments.look(endpoint, deployment)
        if found is not None and found.state is DeploymentState.READY:
            return Seen(ready=True, stage="answering", said=found.said)
        if found is None or found.state is DeploymentState.FAILED:
            return Seen(ready=False, stage="loading", said="gone", failed=_failed(place, found))
        return Seen(ready=False, stage=_STAGES.get(found.state, "accepted"), said=found.said)

    async def _where(self, place: Place) -> tuple[Platform, str, str]:
        ids = place.placement.ids
        if not ids.endpoint or not ids.deployment:
            raise NotReady(
                f"{place.model.name} is asleep, and has no deployment of its own that could be started.",
                fix=f"Run `lorry resume {place.model.name}`.",
            )
        return await self._platform_of(place), ids.endpoint, ids.deployment


def _failed(place: Place, found: HostedDeployment | None) -> DeploymentFailed:
    name = place.model.name
    said = found.message if found and found.message else "the platform gave no reason"
    kind = (found.fault if found else None) or DeploymentFailed
    error = kind(
        f"{name} can't be started: its deployment {'failed' if found else 'is gone'} ({said}).",
        fix=f"Run `lorry resume {name}` to deploy it again.",
        evidence={"deployment": place.placement.ids.deployment},
    )
    return error if isinstance(error, DeploymentFailed) else DeploymentFailed(error.message, fix=error.fix)
