"""An adapter for text on a deployment of its base that others share: `together-attached`."""

from __future__ import annotations

from lorry.delivery.choosing import Purpose
from lorry.delivery.intents import Creation
from lorry.delivery.plan import Plan
from lorry.delivery.ports import (
    AdapterMode,
    Attachment,
    AttachmentState,
    DeploymentOrder,
    DeploymentState,
    HostedBase,
    HostedDeployment,
    HostedEndpoint,
)
from lorry.delivery.proofs.proving import prove_words
from lorry.delivery.proofs.trial import Trial
from lorry.delivery.proofs.trials import answering_model
from lorry.delivery.routes.changing import detach_adapter
from lorry.delivery.routes.common import (
    bare,
    base_of,
    configuration_of,
    known,
    price_of,
    says,
    shared_name,
)
from lorry.delivery.routes.ending import ready_step
from lorry.delivery.routes.files import registry_steps
from lorry.delivery.routes.forecasts import forecast_attachment, no_host
from lorry.delivery.routes.removing import Removal, removal_steps, stop_what_bills
from lorry.delivery.routes.running import (
    Home,
    make_deployment,
    make_endpoint,
    scaling_of,
    send_traffic,
    wait_until_ready,
)
from lorry.delivery.routes.slots import evicted, full
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.errors import DeploymentFailed, ModelUnavailable, NotThere, SlotsFull
from lorry.model.forecast import Forecast, Price

_TAKES_ADAPTERS = (AdapterMode.DYNAMIC, AdapterMode.FIXED)
_USABLE = (DeploymentState.READY, DeploymentState.DEGRADED, DeploymentState.STARTING)


def plan() -> Plan:
    """Give the plan of this route."""
    removal = Removal(mine=_unused)
    return Plan(
        ship=(
            *registry_steps(),
            Step("endpoint", "Finding a deployment of the base that takes adapters.", _endpoint),
            Step("deploy", "Deploying the base.", _deploy),
            Step("wait", "Waiting for the base to be ready.", wait_until_ready),
            Step("route", "Sending the endpoint's traffic to the base.", _route),
            Step("attach", "Attaching the adapter.", _attach),
            Step("load", "Waiting until the adapter is loaded.", _load),
            Step("prove", "Proving that the adapter acts.", lambda run: prove_words(run, _named)),
            ready_step(),
        ),
        retire=removal_steps(
            removal,
            Step("detach", "Taking the adapter off the deployment.", _detach),
            Step("detached", "Waiting until it is off.", _detached),
        ),
        begin=_begin,
        serves=_serves,
        halt=lambda run: _halt(run, removal),
        forecast=_forecast,
    )


def home_of(run: Run) -> Home:
    """Give the endpoint with the deployment of the base that Lorry's adapters share."""
    return Home(shared_name(run.model.base), "shared", _order)


async def _order(run: Run) -> DeploymentOrder:
    base, configuration = await configuration_of(run, Purpose.ATTACH)
    model = configuration.model or base.resource
    return DeploymentOrder(home_of(run).name, model, configuration.resource, scaling_of(run))


async def _begin(run: Run) -> Price | None:
    base, configuration = await configuration_of(run, Purpose.ATTACH)
    if run.options.endpoint is not None:
        if await _host(run, base, await _given(run, run.options.endpoint)) is None:
            raise no_host(run.options.endpoint, base)
        return None
    found = await run.platform.endpoints.find(home_of(run).name)
    running = found and await _host(run, base, found)
    return None if running else price_of(configuration, run)


async def _given(run: Run, name: str) -> HostedEndpoint:
    found = await run.platform.endpoints.find(bare(name))
    if found is None:
        raise NotThere(
            f"The platform has no endpoint {name}.",
            fix="Correct `--endpoint`, or leave it out to have one made.",
            evidence={"endpoint": name},
        )
    return found


async def _endpoint(run: Run) -> Done:
    if run.options.endpoint is not None:
        found = await _given(run, run.options.endpoint)
    else:
        found = await make_endpoint(run, home_of(run), "endpoint")
    ids = {"endpoint": found.id, "endpoint_name": found.name, "base_name": found.name}
    return Done(f"The base answers as {found.name}.", ids=ids)


async def _deploy(run: Run) -> Done | Pending:
    """Find a deployment that takes adapters of the base, start a stopped one, or make one."""
    base = await base_of(run)
    endpoint = known((await run.placement()).ids.endpoint, "endpoint")
    found = await _host(run, base, HostedEndpoint(endpoint, ""))
    if found is not None:
        return Done(f"{found.name} takes adapters and is {found.state}.", ids={"deployment": found.id})
    if run.options.endpoint is not None:
        raise no_host(run.options.endpoint, base)
    made = await make_deployment(run, home_of(run), "deploy")
    if isinstance(made, Pending):
        return made
    _, configuration = await configuration_of(run, Purpose.ATTACH)
    return Done(
        f"The base starts on {configuration.hardware or 'hardware that is not told'}, "
        f"{price_of(configuration, run).sentence}; other adapters of it will share that.",
        ids={"deployment": made.id},
        data={"config": configuration.resource, "cents_per_hour": configuration.cents_per_hour},
    )


async def _host(run: Run, base: HostedBase, endpoint: HostedEndpoint) -> HostedDeployment | None:
    """Find a running deployment of the base whose configuration takes adapters, ready ones first."""
    modes = {each.resource: each.mode for each in base.configurations}
    fitting = [
        each
        for each in await run.platform.deployments.list(endpoint.id)
        if each.state in _USABLE
        and modes.get(each.config) in _TAKES_ADAPTERS
        and each.model.split("/revisions/")[0] in _resources(base)
    ]
    return min(fitting, key=lambda each: _USABLE.index(each.state), default=None)


def _resources(base: HostedBase) -> set[str]:
    models = {each.model.split("/revisions/")[0] for each in base.configurations if each.model}
    return models | {base.resource}


async def _route(run: Run) -> Done:
    if run.options.endpoint is not None:
        return Done("The endpoint is yours, so its traffic stays as it is.")
    return await send_traffic(run, home_of(run).name, beside=False)


async def _attach(run: Run) -> Done | Pending:
    ids = (await run.placement()).ids
    endpoint, deployment = known(ids.endpoint, "endpoint"), known(ids.deployment, "deployment")
    model, revision = known(ids.model, "model"), known(ids.revision, "revision")
    port = run.platform.attachments
    old = await _attachment(run)
    if old is not None and (old.revision != revision or old.state is AttachmentState.FAILED):
        await detach_adapter(run, endpoint, deployment, old)
        return Pending("What an earlier delivery attached is taken off first.", said=old.said)
    if old is not None and old.state is AttachmentState.REMOVING:
        return Pending("What an earlier delivery attached is being taken off.", said=old.said)
    creation = Creation(
        key=run.key("attachment"),
        kind="attachment",
        name=run.name,
        what={"model": model, "revision": revision, "deployment": deployment, "evict": run.options.evict},
        find=lambda: _attachment(run),
        create=lambda: port.attach(endpoint, deployment, model, revision, evict=run.options.evict),
        ours=lambda _: says(True),  # it is of our own model record
        id_of=lambda found: found.id,
    )
    before = await port.list(endpoint, deployment) if run.options.evict else ()
    try:
        found = await run.create(creation, "attach")
    except SlotsFull as error:
        raise await full(run, endpoint, deployment, error) from error
    left = await evicted(run, before, await port.list(endpoint, deployment) if before else ())
    place = f" {left} left for it; `lorry resume` brings one of Lorry's back." if left else ""
    return Done(f"The adapter is being loaded.{place}", ids={"attachment": found.id})


async def _attachment(run: Run) -> Attachment | None:
    ids = (await run.placement()).ids
    if ids.endpoint is None or ids.deployment is None or ids.model is None:
        return None
    attached = await run.platform.attachments.list(ids.endpoint, ids.deployment)
    return next((each for each in attached if each.model == ids.model), None)


async def _load(run: Run) -> Done | Pending:
    found = await _attachment(run)
    if found is None:
        raise NotThere("The adapter is not on the deployment any more; another delivery may have evicted it.")
    if found.state is AttachmentState.FAILED:
        raise DeploymentFailed(
            f"The platform could not load the adapter: {found.message or 'it gave no reason.'}",
            fix=f"Run `lorry check` on the file, `lorry retire {run.model.name}`, and ship it again.",
            evidence={"attachment": found.id, "said": found.said, "message": found.message},
        )
    if found.state is AttachmentState.READY:
        return Done("It is loaded.", data={"said": found.said})
    return Pending(found.message or "The adapter is being loaded.", said=found.said)


async def _named(run: Run) -> Trial[str]:
    """Ask by the name under which the adapter answers.

    The form for v2 is not among our sources: first `endpoint:adapter`, as in v1 (dossier 1.5), then the
    adapter's own name. The one that answers is noted.
    """
    ids = (await run.placement()).ids
    adapter = known(ids.adapter_name, "adapter").rpartition(":")[2]
    name = f"{ids.endpoint_name}:{adapter}"
    await run.save_ids(adapter_name=name)
    trial = await answering_model(run)
    try:
        await trial.acting("Hello.", 1)
    except (ModelUnavailable, NotThere):
        await run.save_ids(adapter_name=adapter)
        trial = await answering_model(run)
    return trial


async def _serves(run: Run) -> bool:
    found = await _attachment(run)
    if found is None or found.state not in (AttachmentState.LOADING, AttachmentState.READY):
        return False
    ids = (await run.placement()).ids
    host = await run.platform.deployments.look(ids.endpoint or "", ids.deployment or "")
    return host is not None and host.state in _USABLE


async def _detach(run: Run) -> Done:
    found = await _attachment(run)
    if found is None or found.state is AttachmentState.REMOVING:
        return Done("It is not attached.")
    ids = (await run.placement()).ids
    await detach_adapter(run, ids.endpoint or "", ids.deployment or "", found)
    return Done("It is being taken off.")


async def _detached(run: Run) -> Done | Pending:
    found = await _attachment(run)
    return Done("It is off.") if found is None else Pending("It is being taken off.", said=found.said)


async def _unused(run: Run) -> tuple[HostedEndpoint | None, tuple[HostedDeployment, ...]]:
    """Find Lorry's shared deployment of the base, when no adapter is on it any more."""
    if run.options.endpoint is not None:
        return None, ()
    name = home_of(run).name
    found = await run.platform.endpoints.find(name)
    if found is None:
        return None, ()
    deployments = await run.platform.deployments.list(found.id)
    if any(bare(each.name) != name for each in deployments):
        return None, ()
    for deployment in deployments:
        if deployment.state in _USABLE and await run.platform.attachments.list(found.id, deployment.id):
            return None, ()
    return found, deployments


async def _halt(run: Run, removal: Removal) -> Done | Pending:
    """Take the adapter off; when no other is on the base that was started for it, stop that too."""
    await _detach(run)
    if await _attachment(run) is not None:
        return Pending("The adapter is being taken off.")
    return await stop_what_bills(run, removal)


async def _forecast(run: Run) -> Forecast:
    return await forecast_attachment(run, home_of(run).name, lambda base, found: _host(run, base, found))
