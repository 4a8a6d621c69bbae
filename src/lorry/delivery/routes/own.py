"""A deployment of its own: `local` for pictures, `together-merged` for adapters and models for text."""

from __future__ import annotations

from lorry.delivery.choosing import Purpose
from lorry.delivery.plan import Plan
from lorry.delivery.ports import DeploymentOrder, DeploymentState, HostedDeployment, HostedEndpoint
from lorry.delivery.proofs.proving import prove_pictures, prove_words
from lorry.delivery.proofs.trials import compared_model, deployed_adapter
from lorry.delivery.routes.common import bare, base_of, configuration_of, price_of
from lorry.delivery.routes.ending import ready_step
from lorry.delivery.routes.files import registry_steps
from lorry.delivery.routes.forecasts import forecast_deployment
from lorry.delivery.routes.removing import Removal, removal_steps, stop_what_bills
from lorry.delivery.routes.running import (
    Home,
    make_deployment,
    make_endpoint,
    scaling_of,
    send_traffic,
    wait_until_ready,
)
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.errors import NotThere
from lorry.model.forecast import Forecast, Price

_RUNNING = (DeploymentState.STARTING, DeploymentState.READY, DeploymentState.DEGRADED)


def plan() -> Plan:
    """Give the plan of this route."""
    removal = Removal(mine=_mine)
    return Plan(
        ship=(
            *registry_steps(),
            Step("endpoint", "Making the endpoint.", _endpoint),
            Step("deploy", "Deploying the model.", _deploy),
            Step("wait", "Waiting for the deployment to be ready.", wait_until_ready),
            Step("route", "Sending the endpoint's traffic to the deployment.", _route),
            Step("prove", "Proving that it acts.", _prove),
            ready_step(),
        ),
        retire=removal_steps(removal),
        begin=_begin,
        serves=serves,
        halt=lambda run: stop_what_bills(run, removal),
        forecast=_forecast,
    )


def home_of(run: Run) -> Home:
    """Give the endpoint with the deployment of a model."""
    return Home(run.name, "own", _order)


async def _order(run: Run) -> DeploymentOrder:
    ids = (await run.placement()).ids
    model = await run.platform.registry.find(run.name)
    _, configuration = await configuration_of(run, Purpose.OWN)
    if model is None or ids.revision is None:
        raise NotThere(f"The platform lost the model {run.name} since it was registered.")
    resource = f"{model.resource}/revisions/{ids.revision}"
    return DeploymentOrder(run.name, resource, configuration.resource, scaling_of(run))


async def _begin(run: Run) -> Price | None:
    _, configuration = await configuration_of(run, Purpose.OWN)
    return price_of(configuration, run)


async def _endpoint(run: Run) -> Done:
    if run.options.endpoint is not None:
        return await _given_endpoint(run, run.options.endpoint)
    found = await make_endpoint(run, home_of(run), "endpoint")
    return Done(f"Requests go to {found.name}.", ids={"endpoint": found.id, "endpoint_name": found.name})


async def _given_endpoint(run: Run, name: str) -> Done:
    found = await run.platform.endpoints.find(bare(name))
    if found is None:
        raise NotThere(
            f"The platform has no endpoint {name}.",
            fix="Correct `--endpoint`, or leave it out to have one made.",
            evidence={"endpoint": name},
        )
    return Done(f"It joins {found.name}.", ids={"endpoint": found.id, "endpoint_name": found.name})


async def _deploy(run: Run) -> Done | Pending:
    made = await make_deployment(run, home_of(run), "deploy")
    if isinstance(made, Pending):
        return made
    base = await base_of(run)
    _, configuration = await configuration_of(run, Purpose.OWN)
    return Done(
        f"{_replicas(run)} on {configuration.hardware or 'hardware that is not told'}, "
        f"{price_of(configuration, run).sentence}.",
        ids={"deployment": made.id, "base_name": base.shared},
        data={"config": configuration.resource, "cents_per_hour": configuration.cents_per_hour},
    )


def _replicas(run: Run) -> str:
    low, high = run.options.min_replicas, run.options.max_replicas
    if low == high:
        return "One replica" if low == 1 else f"{low} replicas"
    return f"{low} to {high} replicas"


async def _route(run: Run) -> Done:
    given = run.options.endpoint
    return await send_traffic(run, bare(given) if given else run.name, beside=given is not None)


async def _prove(run: Run) -> Done | Pending:
    if run.model.kind == "image-lora":
        return await prove_pictures(run, deployed_adapter)
    return await prove_words(run, compared_model)


async def serves(run: Run) -> bool:
    """Say whether the platform still runs what the placement names."""
    ids = (await run.placement()).ids
    if ids.endpoint is None or ids.deployment is None:
        return False
    found = await run.platform.deployments.look(ids.endpoint, ids.deployment)
    return found is not None and found.state in _RUNNING


async def _mine(run: Run) -> tuple[HostedEndpoint | None, tuple[HostedDeployment, ...]]:
    """Find the endpoint and the deployments in it that belong to the model.

    An endpoint of our name with a deployment of another name isn't ours. In an endpoint that the user named,
    the deployment of our name is ours and the endpoint isn't.
    """
    given = run.options.endpoint
    found = await run.platform.endpoints.find(bare(given) if given else run.name)
    if found is None:
        return None, ()
    deployments = await run.platform.deployments.list(found.id)
    mine = tuple(each for each in deployments if bare(each.name) == run.name)
    if given is None and len(mine) != len(deployments):
        return None, ()
    return found, mine


async def _forecast(run: Run) -> Forecast:
    return await forecast_deployment(run, Purpose.OWN, run.options.endpoint or run.name, run.name)
