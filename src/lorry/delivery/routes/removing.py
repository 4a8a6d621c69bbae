"""The steps of retiring, and the stop of what bills.

Each looks by name, so none needs to know how far a delivery came; what has our name and isn't ours is left
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lorry.delivery.intents import Change
from lorry.delivery.mending import forget_converted
from lorry.delivery.ports import DeploymentState, HostedDeployment, HostedEndpoint
from lorry.delivery.proofs.proving import forget_proofs
from lorry.delivery.routes import changing
from lorry.delivery.routes.changing import route_traffic, stop_deployment
from lorry.delivery.routes.common import mark, says
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.errors import Conflict

_RUNNING = (DeploymentState.STARTING, DeploymentState.READY, DeploymentState.DEGRADED)


@dataclass(frozen=True, slots=True)
class Removal:
    """What of a platform's things belongs to a model, and goes with it.

    Attributes:
        mine: Finds the endpoint and its deployments that are to go; nothing when others still use them.
    """

    mine: Callable[[Run], Awaitable[tuple[HostedEndpoint | None, tuple[HostedDeployment, ...]]]]


def removal_steps(removal: Removal, *before: Step) -> tuple[Step, ...]:
    """List the steps from whatever there is to nothing, in order.

    Args:
        removal: What goes.
        before: Steps of the route that come first.
    """
    return (
        *before,
        Step("unroute", "Taking the traffic away.", lambda run: unroute(run, removal)),
        Step("stop", "Stopping what runs.", lambda run: stop(run, removal)),
        Step("stopped", "Waiting until it has stopped.", lambda run: stopped(run, removal)),
        Step("deployment", "Deleting the deployment.", lambda run: delete_deployment(run, removal)),
        Step("endpoint", "Deleting the endpoint.", lambda run: delete_endpoint(run, removal)),
        Step("model", "Deleting the model at the platform.", delete_model),
        *closing_steps(),
    )


def closing_steps() -> tuple[Step, ...]:
    """List the steps that every retiring ends with."""
    return (
        Step("repository", "Deleting the repository on the Hub.", delete_repository),
        Step("forget", "Forgetting the model.", forget),
    )


async def unroute(run: Run, removal: Removal) -> Done:
    """Take the traffic away; a deployment that has some can't be deleted (dossier 5.5)."""
    found, deployments = await removal.mine(run)
    gone = {deployment.id for deployment in deployments}
    if found is None or not gone & set(found.weights):
        return Done("No traffic goes to it.")
    left = {deployment: weight for deployment, weight in found.weights.items() if deployment not in gone}
    await route_traffic(run, found, left)
    return Done("No traffic goes to it any more.")


async def stop(run: Run, removal: Removal) -> Done:
    """Scale everything of it to zero; that ends what it costs (dossier 0, fact 7)."""
    found, deployments = await removal.mine(run)
    running = [deployment for deployment in deployments if deployment.state in _RUNNING]
    for deployment in running:
        if found is not None:
            await stop_deployment(run, found.id, deployment)
    return Done("It was told to stop." if running else "Nothing runs.", data={"stopped": len(running)})


async def stopped(run: Run, removal: Removal) -> Done | Pending:
    """Wait until nothing runs."""
    _, deployments = await removal.mine(run)
    for deployment in deployments:
        if deployment.state is DeploymentState.STOPPING:
            return Pending("The deployment is stopping.", said=deployment.said)
        if deployment.state in _RUNNING:
            return Pending("The deployment has not begun to stop.", said=deployment.said)
    return Done("Nothing runs and nothing bills.")


async def delete_deployment(run: Run, removal: Removal) -> Done:
    """Delete the deployment."""
    found, deployments = await removal.mine(run)
    for deployment in deployments:
        if found is not None:
            await changing.delete_deployment(run, found.id, deployment)
    return Done("Deleted." if deployments else "There was none.")


async def delete_endpoint(run: Run, removal: Removal) -> Done:
    """Delete the endpoint, unless it is the user's own or others live in it."""
    found, _ = await removal.mine(run)
    if found is None:
        return Done("There was none.")
    if run.options.endpoint is not None:
        return Done(f"{found.name} is yours and stays.")
    await changing.delete_endpoint(run, found)
    return Done("Deleted.")


async def delete_model(run: Run) -> Done:
    """Delete the model record with its files."""
    found = await run.platform.registry.find(run.name)
    if found is None:
        return Done("There was none.")
    if mark(run) not in found.description:
        return Done(f"{found.name} isn't Lorry's, so it was left alone.")
    registry = run.platform.registry

    async def gone() -> bool:
        return await registry.find(run.name) is None

    change = Change(
        key=run.key("delete/model"),
        kind="deletion of the model",
        name=run.name,
        what={"model": found.id},
        there=gone,
        act=lambda: registry.delete(found.id),
    )
    await run.change(change)
    return Done("Deleted.")


async def delete_repository(run: Run) -> Done:
    """Delete the repository; it is looked for by name when a kill kept its owner from being noted."""
    ids = (await run.placement()).ids
    intended = run.place.route == "local" or ids.hub_repo or await _published(run)
    if not intended:
        return Done("Nothing was published.")
    repo = ids.hub_repo or run.name
    change = Change(
        key=run.key("delete/repository"),
        kind="deletion of the repository",
        name=repo,
        what={"repo": repo},
        there=lambda: says(False),  # the Hub is not asked first: deleting what is gone is free there
        act=lambda: run.publisher.withdraw(repo),
    )
    try:
        await run.change(change)
    except Conflict as error:  # somebody else's by now
        return Done(f"{repo} isn't Lorry's, so it was left alone.", data={"error": error.as_dict()})
    return Done(f"{repo} is gone.")


async def _published(run: Run) -> bool:
    """Say whether a delivery was about to publish when it was cut off."""
    return bool(await run.world.intents.all(run.key("repository")))


async def forget(run: Run) -> Done:
    """Forget the model, its intents, its proof and its converted copy; the journal stays."""
    await asyncio.to_thread(forget_proofs, run.world.home, run.model.name)
    await asyncio.to_thread(forget_converted, run.world.home, run.model.source)
    await run.world.intents.drop(f"{run.model.name}/")
    await run.world.records.forget(run.model.name)
    return Done(f"{run.model.name} was retired.")


async def stop_what_bills(run: Run, removal: Removal) -> Done:
    """After a failure: take the traffic away and stop what runs, so that nothing bills unused."""
    await unroute(run, removal)
    return await stop(run, removal)
