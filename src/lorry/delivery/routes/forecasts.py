"""What shipping would do on a route that deploys: asked of the platform, nothing made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lorry.delivery.choosing import Purpose, choose
from lorry.delivery.ports import (
    Configuration,
    DeploymentOrder,
    HostedBase,
    HostedDeployment,
    HostedEndpoint,
    HostedModel,
)
from lorry.delivery.routes.common import bare, base_of, mark, price_of
from lorry.delivery.routes.files import publishes
from lorry.delivery.routes.running import scaling_of
from lorry.delivery.run import Run
from lorry.errors import LorryError, RequestRefused
from lorry.model.forecast import Forecast, Obstacle, Price


@dataclass(slots=True)
class Draft:
    """A forecast that is being put together."""

    run: Run
    creates: list[str] = field(default_factory=list)
    finds: list[str] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    price: Price | None = None
    target: str | None = None

    def done(self) -> Forecast:
        """Give the forecast."""
        return Forecast(
            route=self.run.place.route,
            runs=not self.obstacles,
            creates=tuple(self.creates),
            finds=tuple(self.finds),
            price=self.price,
            obstacles=tuple(self.obstacles),
            asked=tuple(self.asked),
            target=self.target,
            rehearsal=self.run.place.rehearsal,
        )

    def refused(self, error: LorryError) -> None:
        """Note what a platform, or its catalogue, objects to."""
        self.obstacles.append(Obstacle(error.code, error.message, error.fix))


async def forecast_deployment(run: Run, purpose: Purpose, endpoint: str, deployment: str) -> Forecast:
    """Forecast a deployment of its own.

    Args:
        run: Whose; its model may not be known yet.
        purpose: What it is deployed for.
        endpoint: Name of the endpoint.
        deployment: Bare name of the deployment.
    """
    draft = Draft(run)
    found = await _base(draft, purpose)
    if found is None:
        return draft.done()
    base, configuration = found
    await forecast_files(draft)
    address = await _endpoint(draft, endpoint)
    await _own_deployment(draft, base, configuration, address, deployment)
    draft.price = price_of(configuration, run)
    return draft.done()


async def forecast_attachment(
    run: Run,
    endpoint: str,
    host: Callable[[HostedBase, HostedEndpoint], Awaitable[HostedDeployment | None]],
) -> Forecast:
    """Forecast an adapter on a shared deployment.

    Args:
        run: Whose; its model may not be known yet.
        endpoint: Name of Lorry's own endpoint for the base.
        host: Finds a deployment in an endpoint that takes the adapter.
    """
    draft = Draft(run)
    found = await _base(draft, Purpose.ATTACH)
    if found is None:
        return draft.done()
    base, configuration = found
    await forecast_files(draft)
    address = await _endpoint(draft, run.options.endpoint or endpoint)
    there = await host(base, address) if address is not None else None
    if there is None and run.options.endpoint is not None:
        if address is not None:  # otherwise it is told already
            draft.refused(no_host(run.options.endpoint, base))
        return draft.done()
    if there is None:
        await _own_deployment(draft, base, configuration, address, bare(endpoint))
        draft.price = price_of(configuration, run)
    else:
        draft.finds.append(f"the deployment {there.name}, {there.state}, which takes adapters")
        attached = await run.platform.attachments.list(address.id if address else "", there.id)
        count = "1 adapter" if len(attached) == 1 else f"{len(attached)} adapters"
        draft.finds.append(f"{count} on it")
        draft.asked.append("adapters")
        draft.price = Price(0.0, "replica-hour", "it runs and bills already, and is shared")
    draft.creates.append("the adapter on that deployment")
    return draft.done()


def no_host(endpoint: str, base: HostedBase) -> RequestRefused:
    """Say that the user's endpoint can't take an adapter.

    Args:
        endpoint: Its name.
        base: The base that the adapter needs.
    """
    return RequestRefused(
        f"{endpoint} has no running deployment of {base.name} that takes adapters.",
        fix="Deploy the base there with adapter mode dynamic, or leave `--endpoint` out.",
        evidence={"endpoint": endpoint, "base": base.name},
    )


async def _base(draft: Draft, purpose: Purpose) -> tuple[HostedBase, Configuration] | None:
    draft.asked += ["catalogue", "configurations", "prices"]
    try:
        base = await base_of(draft.run)
        configuration = choose(base, purpose, draft.run.options.config)
    except LorryError as error:
        draft.refused(error)
        return None
    draft.target = configuration.hardware or None
    if configuration.headroom == 0:
        draft.obstacles.append(
            Obstacle("no_capacity", f"No {configuration.hardware} is free now, as far as the platform tells.")
        )
    return base, configuration


async def forecast_files(draft: Draft) -> HostedModel | None:
    """Say what becomes of the files: the repository and the model record.

    Args:
        draft: The forecast.
    """
    run = draft.run
    if publishes(run):
        kind = "public" if run.options.public else "private"
        draft.creates.append(f"the {kind} repository {run.name} on the Hub")
    draft.asked.append("models")
    model = await run.platform.registry.find(run.name)
    if model is None:
        draft.creates.append(f"the model {run.name} with one revision")
    elif mark(run) in model.description:
        draft.finds.append(f"the model {model.name}")
    else:
        sentence = f"The platform has a model {model.name} that isn't Lorry's for this file."
        draft.obstacles.append(Obstacle("conflict", sentence, "Ship under another `--name`."))
    return model


async def _endpoint(draft: Draft, name: str) -> HostedEndpoint | None:
    draft.asked.append("endpoints")
    found = await draft.run.platform.endpoints.find(bare(name))
    if found is not None:
        draft.finds.append(f"the endpoint {found.name}")
    elif draft.run.options.endpoint is not None:
        draft.obstacles.append(Obstacle("not_there", f"The platform has no endpoint {name}."))
    else:
        draft.creates.append(f"the endpoint {name}")
    return found


async def _own_deployment(
    draft: Draft,
    base: HostedBase,
    configuration: Configuration,
    address: HostedEndpoint | None,
    name: str,
) -> None:
    run = draft.run
    if address is not None:
        deployments = await run.platform.deployments.list(address.id)
        there = next((each for each in deployments if bare(each.name) == name), None)
        if there is not None:
            draft.finds.append(f"the deployment {there.name}, {there.state}")
            return
    draft.creates.append(f"the deployment {name} on {configuration.hardware or 'hardware that is not told'}")
    if address is not None:
        await _validated(draft, base, configuration, address, name)


async def _validated(
    draft: Draft, base: HostedBase, configuration: Configuration, address: HostedEndpoint, name: str
) -> None:
    """Ask the API's own dry run; it needs an endpoint, and the base stands for a model not yet uploaded."""
    run = draft.run
    model = configuration.model or base.resource
    order = DeploymentOrder(name, model, configuration.resource, scaling_of(run))
    draft.asked.append("validateOnly")
    try:
        await run.platform.deployments.validate(address.id, order)
    except LorryError as error:
        draft.refused(error)
