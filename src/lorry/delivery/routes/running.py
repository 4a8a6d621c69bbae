"""The steps that make a deployment run behind an endpoint, whoever it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lorry.delivery.intents import Creation
from lorry.delivery.ports import (
    DeploymentOrder,
    DeploymentState,
    HostedDeployment,
    HostedEndpoint,
    HostedEvent,
    Scaling,
)
from lorry.delivery.routes.changing import delete_deployment, route_traffic, stop_deployment
from lorry.delivery.routes.common import bare, known, says
from lorry.delivery.run import Done, Pending, Run
from lorry.errors import DeploymentFailed, LorryError, NoCapacity, NotThere, PlatformError

_UNDER_WAY = (DeploymentState.STARTING, DeploymentState.READY, DeploymentState.DEGRADED)


@dataclass(frozen=True, slots=True)
class Home:
    """An endpoint with one deployment in it that a delivery looks after.

    Attributes:
        name: Bare name of both.
        kind: What it is, for the keys of its intents (`own`, `shared`).
        order: Says what shall be deployed there.
    """

    name: str
    kind: str
    order: Callable[[Run], Awaitable[DeploymentOrder]]

    def key(self, run: Run, thing: str) -> str:
        """Give the key of an intent of this home."""
        return run.key(thing if self.kind == "own" else f"{self.kind}-{thing}")


def scaling_of(run: Run) -> Scaling:
    """Give the replicas that were asked for."""
    options = run.options
    return Scaling(
        options.min_replicas, options.max_replicas, options.inactive_minutes or 0, options.idle_window
    )


async def make_endpoint(run: Run, home: Home, step: str) -> HostedEndpoint:
    """Make the address that requests go to, or adopt it."""
    endpoints = run.platform.endpoints

    async def ours(found: HostedEndpoint) -> bool:
        deployments = await run.platform.deployments.list(found.id)
        return all(bare(deployment.name) == home.name for deployment in deployments)

    creation = Creation(
        key=home.key(run, "endpoint"),
        kind="endpoint",
        name=home.name,
        what={"name": home.name},
        find=lambda: endpoints.find(home.name),
        create=lambda: endpoints.create(home.name),
        ours=ours,
        id_of=lambda found: found.id,
    )
    return await run.create(creation, step)


async def make_deployment(run: Run, home: Home, step: str) -> HostedDeployment | Pending:
    """Start the replicas; what an earlier delivery left stopped or failed is replaced."""
    endpoint = known((await run.placement()).ids.endpoint, "endpoint")
    order = await home.order(run)
    over = await _leftover(run, home, endpoint, order)
    if over is not None:
        return over
    creation = Creation(
        key=home.key(run, "deployment"),
        kind="deployment",
        name=home.name,
        what={"name": home.name, "model": order.model, "config": order.config},
        find=lambda: _deployment(run, home, endpoint),
        create=lambda: run.platform.deployments.create(endpoint, order),
        ours=lambda _: says(True),  # it has our name, in an endpoint that is ours
        id_of=lambda found: found.id,
    )
    return await run.create(creation, step)


async def _leftover(run: Run, home: Home, endpoint: str, order: DeploymentOrder) -> Pending | None:
    """Clear away a deployment that can't come up any more (a failed one is final, dossier 2.7).

    One that runs with another configuration or revision than is asked for now goes too: it is of an earlier
    delivery of ours. Not where adapters share it: the others are on it.
    What still has traffic can't be deleted (dossier 5.5), so that is taken away first.
    """
    found = await _deployment(run, home, endpoint)
    if found is None:
        return None
    under_way = found.state in _UNDER_WAY
    if under_way and (home.kind != "own" or _as_ordered(found, order)):
        return None
    address = await run.platform.endpoints.find(home.name)
    if address is not None and found.id in address.routed:
        left = {
            deployment: weight for deployment, weight in address.weights.items() if deployment != found.id
        }
        await route_traffic(run, address, left)
    if under_way or found.state is DeploymentState.FAILED:
        await stop_deployment(run, endpoint, found)
    if found.state is not DeploymentState.STOPPING and not under_way:
        await delete_deployment(run, endpoint, found)
    what = "that was made otherwise" if under_way else "of an earlier delivery that has stopped"
    return Pending(f"A deployment {what} is cleared away.", said=found.said)


def _as_ordered(found: HostedDeployment, order: DeploymentOrder) -> bool:
    """Say whether a deployment is what is asked for, as far as the platform tells what it is."""
    return found.model in ("", order.model) and found.config in ("", order.config)


async def _deployment(run: Run, home: Home, endpoint: str) -> HostedDeployment | None:
    found = await run.platform.deployments.list(endpoint)
    return next((deployment for deployment in found if bare(deployment.name) == home.name), None)


async def wait_until_ready(run: Run) -> Done | Pending:
    """Wait until the deployment can answer; the platform's own events go into the journal meanwhile."""
    ids = (await run.placement()).ids
    endpoint, deployment = known(ids.endpoint, "endpoint"), known(ids.deployment, "deployment")
    found = await run.platform.deployments.look(endpoint, deployment)
    if found is not None and found.state is DeploymentState.READY:
        return Done("The deployment is ready.", data={"said": found.said})
    events = await tell_events(run, endpoint, deployment)
    if found is not None and found.state in (DeploymentState.STARTING, DeploymentState.DEGRADED):
        return Pending(found.message or f"The deployment is {found.state}.", said=found.said)
    raise _not_coming(run, deployment, found, events)


async def tell_events(run: Run, endpoint: str, deployment: str) -> tuple[HostedEvent, ...]:
    """Write what the platform says happened into the journal, each event once.

    They explain and decide nothing, so a platform that does not tell them does not end a delivery.
    """
    try:
        happened = await run.platform.endpoints.events(endpoint)
    except PlatformError:
        return ()
    if not happened:
        return ()
    told = await run.world.journal.read(run.model.name)
    known_ids = {event.data.get("id") for event in told if event.action == "platform"}
    events = [event for event in happened if event.deployment in (None, deployment)]
    for event in events:
        if event.id not in known_ids:
            data = {"id": event.id, "kind": event.kind, "level": event.level, "at": event.at}
            await run.note("wait", "platform", event.message or event.kind, data)
    return tuple(events)


def _not_coming(
    run: Run, deployment: str, found: HostedDeployment | None, events: tuple[HostedEvent, ...]
) -> LorryError:
    state = found.state if found else "gone"
    reasons = [event.message for event in events if event.level in ("warn", "error")]
    said = (found.message if found else "") or (reasons[-1] if reasons else "the platform gave no reason.")
    kind = (found.fault if found else None) or DeploymentFailed
    name = run.model.name
    evidence = {"deployment": deployment, "state": str(state), "message": said, "events": reasons[-5:]}
    fix = f"Run `lorry events {name}` to see what happened, then `lorry resume {name}` to deploy it again."
    if kind is NoCapacity:
        fix = f"Run `lorry resume {name}` later, or retire it and ship it with another `--config`."
    return kind(f"The deployment is {state}: {said}", fix=fix, evidence=evidence)


async def send_traffic(run: Run, name: str, *, beside: bool) -> Done:
    """Send the endpoint's traffic to the deployment; without it nothing answers (dossier 0, fact 6).

    Args:
        run: Whose deployment.
        name: Bare name of the endpoint.
        beside: Whether what other deployments of the endpoint get stays as it is.
    """
    ids = (await run.placement()).ids
    endpoint, deployment = known(ids.endpoint, "endpoint"), known(ids.deployment, "deployment")
    found = await run.platform.endpoints.find(name)
    if found is None:
        raise NotThere(f"The platform lost the endpoint {name}.", evidence={"endpoint": endpoint})
    weights = {**(found.weights if beside else {}), deployment: run.options.weight}
    if not await route_traffic(run, found, weights):
        return Done("Its traffic goes to it already.")
    return Done("All traffic goes to it." if len(weights) == 1 else f"Its weight is {run.options.weight:g}.")
