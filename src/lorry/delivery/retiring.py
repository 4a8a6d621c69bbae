"""The steps of retiring, and the stop of what bills.

Each looks by name, so none needs to know how far a delivery came; what has our name and isn't ours is left
alone.
"""

from __future__ import annotations

import asyncio

from lorry.delivery.mending import forget_converted
from lorry.delivery.ports import DeploymentState, HostedDeployment, HostedEndpoint
from lorry.delivery.proving import forget_proofs
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.delivery.steps import bare, mark
from lorry.errors import Conflict

_RUNNING = (DeploymentState.STARTING, DeploymentState.READY)


def retire_steps() -> tuple[Step, ...]:
    """List the steps from whatever there is to nothing, in order."""
    return (
        Step("unroute", "Taking the traffic away.", unroute),
        Step("stop", "Stopping what runs.", stop),
        Step("stopped", "Waiting until it has stopped.", stopped),
        Step("deployment", "Deleting the deployment.", delete_deployment),
        Step("endpoint", "Deleting the endpoint.", delete_endpoint),
        Step("model", "Deleting the model at the platform.", delete_model),
        Step("repository", "Deleting the repository on the Hub.", delete_repository),
        Step("forget", "Forgetting the model.", forget),
    )


async def unroute(run: Run) -> Done:
    """Take the endpoint's traffic away; a deployment that has some can't be deleted (dossier 5.5)."""
    found, _ = await _ours(run)
    if found is None or not found.routed:
        return Done("No traffic goes to it.")
    await run.world.platform.endpoints.route(found.id, ())
    return Done("No traffic goes to it any more.")


async def stop(run: Run) -> Done:
    """Scale everything of it to zero; that ends what it costs (dossier 0, fact 7)."""
    found, deployments = await _ours(run)
    running = [deployment for deployment in deployments if deployment.state in _RUNNING]
    for deployment in running:
        if found is not None:
            await run.world.platform.deployments.stop(found.id, deployment.id)
    return Done("It was told to stop." if running else "Nothing runs.", data={"stopped": len(running)})


async def stopped(run: Run) -> Done | Pending:
    """Wait until nothing runs."""
    _, deployments = await _ours(run)
    if any(deployment.state is DeploymentState.STOPPING for deployment in deployments):
        return Pending("The deployment is stopping.")
    if any(deployment.state in _RUNNING for deployment in deployments):
        return Pending("The deployment has not begun to stop.")
    return Done("Nothing runs and nothing bills.")


async def delete_deployment(run: Run) -> Done:
    """Delete the deployment."""
    found, deployments = await _ours(run)
    for deployment in deployments:
        if found is not None:
            await run.world.platform.deployments.delete(found.id, deployment.id)
    return Done("Deleted." if deployments else "There was none.")


async def delete_endpoint(run: Run) -> Done:
    """Delete the endpoint."""
    found, _ = await _ours(run)
    if found is None:
        return Done("There was none.")
    await run.world.platform.endpoints.delete(found.id)
    return Done("Deleted.")


async def delete_model(run: Run) -> Done:
    """Delete the model record with its files."""
    found = await run.world.platform.registry.find(run.name)
    if found is None:
        return Done("There was none.")
    if mark(run) not in found.description:
        return Done(f"{found.name} isn't Lorry's, so it was left alone.")
    await run.world.platform.registry.delete(found.id)
    return Done("Deleted.")


async def delete_repository(run: Run) -> Done:
    """Delete the repository; it is looked for by name when a kill kept its owner from being noted."""
    repo = (await run.placement()).ids.hub_repo or run.name
    try:
        await run.world.publisher.withdraw(repo)
    except Conflict as error:  # somebody else's by now
        return Done(f"{repo} isn't Lorry's, so it was left alone.", data={"error": error.as_dict()})
    return Done(f"{repo} is gone.")


async def forget(run: Run) -> Done:
    """Forget the model, its intents, its pictures and its converted copy; the journal stays."""
    await asyncio.to_thread(forget_proofs, run.world.home, run.model.name)
    await asyncio.to_thread(forget_converted, run.world.home, run.model.source)
    await run.world.intents.drop(f"{run.model.name}/")
    await run.world.records.forget(run.model.name)
    return Done(f"{run.model.name} was retired.")


async def stop_what_bills(run: Run) -> Done:
    """After a failure: take the traffic away and stop what runs, so that nothing bills unused."""
    await unroute(run)
    return await stop(run)


async def _ours(run: Run) -> tuple[HostedEndpoint | None, tuple[HostedDeployment, ...]]:
    """Find the endpoint and its deployments; an endpoint with a deployment of another name isn't ours."""
    found = await run.world.platform.endpoints.find(run.name)
    if found is None:
        return None, ()
    deployments = await run.world.platform.deployments.list(found.id)
    if any(bare(deployment.name) != run.name for deployment in deployments):
        return None, ()
    return found, deployments
