"""The steps of a delivery, each a short function: it looks first, does one thing, and says what it did.

Every step may run again after a kill: what it finds done it adopts (`intents.py`).
"""

from __future__ import annotations

from lorry.delivery.intents import Creation, Note, create_once
from lorry.delivery.mending import Check
from lorry.delivery.meter import Meter
from lorry.delivery.ports import (
    DeploymentState,
    HostedBase,
    HostedDeployment,
    HostedEndpoint,
    Publication,
    Revision,
    RevisionState,
)
from lorry.delivery.proving import prove
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.delivery.source import files_of, verify_source
from lorry.errors import BaseNotServed, DeploymentFailed, NotThere, RequestRefused, RevisionRejected
from lorry.model.placement import PlacementState


def ship_steps(check: Check) -> tuple[Step, ...]:
    """List the steps from a checked file to a ready placement, in order."""
    return (
        Step("publish", "Publishing the files to the Hub.", publish),
        Step("register", "Registering the model at the platform.", register),
        Step("upload", "Uploading the files.", upload),
        Step("validate", "Waiting for the platform to validate the files.", validate),
        Step("endpoint", "Making the endpoint.", endpoint),
        Step("deploy", "Deploying the model.", deploy),
        Step("wait", "Waiting for the deployment to be ready.", wait),
        Step("route", "Sending the endpoint's traffic to the deployment.", route),
        Step("prove", "Proving that the adapter acts.", lambda run: prove(run, check)),
        Step("ready", "Marking the model as ready.", ready),
    )


async def publish(run: Run) -> Done:
    """Bring the files to the Hub; doing it again is free."""
    await verify_source(run.model)
    model = run.model
    publication = Publication(run.name, files_of(model), model.base, model.trigger, model.digest)
    await run.world.intents.open(run.key("repository"), {"repo": run.name})
    published = await run.world.publisher.publish(publication)
    await run.world.intents.close(run.key("repository"), {"repo": published.repo})
    return Done(
        f"Published as {published.repo} at {published.commit[:8]}.",
        ids={"hub_repo": published.repo, "hub_commit": published.commit},
        data={"url": published.url},
    )


async def register(run: Run) -> Done:
    """Make the model record, whose description carries our mark."""
    registry = run.world.platform.registry
    base = await servable_base(run)
    about = f"Made by Lorry: {run.model.name}, {mark(run)}"
    creation = Creation(
        key=run.key("model"),
        kind="model",
        name=run.name,
        what={"name": run.name, "base": base.id, "description": about},
        find=lambda: registry.find(run.name),
        create=lambda: registry.create(run.name, base, about),
        ours=lambda found: _says(mark(run) in found.description),
        id_of=lambda found: found.id,
    )
    hosted = await create_once(creation, run.world.intents, _note(run, "register"))
    return Done(f"It is {hosted.name} there.", ids={"model": hosted.id, "adapter_name": hosted.name})


async def upload(run: Run) -> Done:
    """Upload the files as one revision; one that is there and was not refused is adopted."""
    await verify_source(run.model)
    registry = run.world.platform.registry
    model = _known((await run.placement()).ids.model, "model")
    files = files_of(run.model)
    size = sum(file.path.stat().st_size for file in files)
    meter = Meter(lambda message, data: run.note("upload", "progress", message, data))

    async def find() -> Revision | None:
        revisions = await registry.revisions(model)
        return next((found for found in revisions if found.state is not RevisionState.REJECTED), None)

    creation = Creation(
        key=run.key("revision"),
        kind="revision",
        name=run.name,
        what={"files": [file.name for file in files], "bytes": size},
        find=find,
        create=lambda: registry.upload(model, files, meter.tell),
        ours=lambda _: _says(True),  # the model is ours, so what is in it is
        id_of=lambda found: found.id,
    )
    try:
        revision = await create_once(creation, run.world.intents, _note(run, "upload"))
    finally:
        await meter.settle()
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return Done(f"{count}, {size:,} bytes.", ids={"revision": revision.id}, data={"bytes": size})


async def validate(run: Run) -> Done | Pending:
    """Wait until the platform has read the files."""
    ids = (await run.placement()).ids
    model = _known(ids.model, "model")
    revisions = await run.world.platform.registry.revisions(model)
    found = next((revision for revision in revisions if revision.id == ids.revision), None)
    if found is None:
        return Pending("The revision does not show up yet.")
    if found.state is RevisionState.PENDING:
        return Pending("The platform is reading the files.")
    if found.state is RevisionState.REJECTED:
        reasons = list(found.reasons) or ["it gave no reason."]
        raise RevisionRejected(
            f"The platform refused the files: {' '.join(reasons)}",
            fix=f"Correct the file, run `lorry retire {run.model.name}`, and ship it again.",
            evidence={"revision": found.id, "reasons": reasons},
        )
    return Done("The platform accepts the files.")


async def endpoint(run: Run) -> Done:
    """Make the address that requests go to."""
    endpoints = run.world.platform.endpoints

    async def ours(found: HostedEndpoint) -> bool:
        deployments = await run.world.platform.deployments.list(found.id)
        return all(bare(deployment.name) == run.name for deployment in deployments)

    creation = Creation(
        key=run.key("endpoint"),
        kind="endpoint",
        name=run.name,
        what={"name": run.name},
        find=lambda: endpoints.find(run.name),
        create=lambda: endpoints.create(run.name),
        ours=ours,
        id_of=lambda found: found.id,
    )
    found = await create_once(creation, run.world.intents, _note(run, "endpoint"))
    return Done(f"Requests go to {found.name}.", ids={"endpoint": found.id, "endpoint_name": found.name})


async def deploy(run: Run) -> Done | Pending:
    """Start one replica of the revision; what an earlier delivery left stopped or failed is replaced."""
    ids = (await run.placement()).ids
    home = _known(ids.endpoint, "endpoint")
    deployments, registry = run.world.platform.deployments, run.world.platform.registry
    over = await _leftover(run, home)
    if over is not None:
        return over
    model = await registry.find(run.name)
    base = await servable_base(run)
    if model is None or base.config is None or ids.revision is None:
        raise NotThere(f"The platform lost the model {run.name} since it was registered.")
    revision, config = ids.revision, base.config
    creation = Creation(
        key=run.key("deployment"),
        kind="deployment",
        name=run.name,
        what={"name": run.name, "revision": revision, "config": config},
        find=lambda: _deployment(run, home),
        create=lambda: deployments.create(home, run.name, model, revision, config),
        ours=lambda _: _says(True),  # it has our name, in an endpoint that is ours
        id_of=lambda found: found.id,
    )
    found = await create_once(creation, run.world.intents, _note(run, "deploy"))
    return Done("One replica is on its way.", ids={"deployment": found.id})


async def _leftover(run: Run, home: str) -> Pending | None:
    """Clear away a deployment that can't come up any more (a failed one is final, dossier 2.7).

    What still has traffic can't be deleted (dossier 5.5), so that is taken away first.
    """
    deployments, endpoints = run.world.platform.deployments, run.world.platform.endpoints
    found = await _deployment(run, home)
    if found is None or found.state in (DeploymentState.STARTING, DeploymentState.READY):
        return None
    address = await endpoints.find(run.name)
    if address is not None and found.id in address.routed:
        await endpoints.route(home, ())
    if found.state is DeploymentState.FAILED:
        await deployments.stop(home, found.id)
    if found.state is not DeploymentState.STOPPING:
        await deployments.delete(home, found.id)
    return Pending("A stopped deployment of an earlier delivery is cleared away.")


async def wait(run: Run) -> Done | Pending:
    """Wait until the deployment can answer."""
    ids = (await run.placement()).ids
    home, deployment = _known(ids.endpoint, "endpoint"), _known(ids.deployment, "deployment")
    found = await run.world.platform.deployments.look(home, deployment)
    if found is not None and found.state is DeploymentState.READY:
        return Done("The deployment is ready.")
    if found is not None and found.state is DeploymentState.STARTING:
        return Pending(found.message or "The deployment is starting.")
    state = found.state if found else "gone"
    said = found.message if found and found.message else "the platform gave no reason."
    raise DeploymentFailed(
        f"The deployment is {state}: {said}",
        fix=f"Run `lorry events {run.model.name}` to see what happened, then `lorry resume {run.model.name}` "
        "to deploy it again.",
        evidence={"deployment": deployment, "state": str(state), "message": said},
    )


async def route(run: Run) -> Done:
    """Send the endpoint's traffic to the deployment; without it nothing answers (dossier 0, fact 6)."""
    ids = (await run.placement()).ids
    home, deployment = _known(ids.endpoint, "endpoint"), _known(ids.deployment, "deployment")
    found = await run.world.platform.endpoints.find(run.name)
    if found is None:
        raise NotThere(f"The platform lost the endpoint {run.name}.", evidence={"endpoint": home})
    if found.routed == (deployment,):
        return Done("All traffic goes to it already.")
    await run.world.platform.endpoints.route(home, (deployment,))
    return Done("All traffic goes to it.")


async def ready(run: Run) -> Done:
    """Mark the placement as ready."""
    placement = await run.save(state=PlacementState.READY, error=None)
    return Done(f"{run.model.name} answers as {placement.ids.endpoint_name}.")


async def servable_base(run: Run) -> HostedBase:
    """Find the model's base at the platform, with a configuration that serves adapters of it.

    Raises:
        BaseNotServed: The platform has no such base.
        RequestRefused: It has the base, and deploys no adapter of it.
    """
    try:
        base = await run.world.platform.registry.base(run.model.base)
    except NotThere as error:
        raise BaseNotServed(
            f"{run.model.name} was trained on {run.model.base}, "
            f"which the platform of the route {run.world.platform.route!r} does not serve.",
            evidence={"base": run.model.base, "route": run.world.platform.route, **error.evidence},
        ) from error
    if base.config is None:
        raise RequestRefused(
            f"The platform knows {run.model.base}, but has no configuration that serves an adapter of it.",
            fix="Train the adapter on a base that the platform deploys.",
            evidence={"base": run.model.base},
        )
    return base


async def still_serves(run: Run) -> bool:
    """Say whether the platform still runs what the placement names."""
    ids = (await run.placement()).ids
    if ids.endpoint is None or ids.deployment is None:
        return False
    found = await run.world.platform.deployments.look(ids.endpoint, ids.deployment)
    return found is not None and found.state in (DeploymentState.STARTING, DeploymentState.READY)


def mark(run: Run) -> str:
    """Give the mark by which a model record is known as ours."""
    return f"sha256:{run.model.digest}"


def bare(name: str) -> str:
    """Give the last part of a qualified name (`slug/endpoint/deployment`, dossier 2.7)."""
    return name.rsplit("/", 1)[-1]


async def _deployment(run: Run, home: str) -> HostedDeployment | None:
    found = await run.world.platform.deployments.list(home)
    return next((deployment for deployment in found if bare(deployment.name) == run.name), None)


async def _says(answer: bool) -> bool:
    return answer


def _note(run: Run, step: str) -> Note:
    return lambda action, message, data: run.note(step, action, message, data)


def _known(value: str | None, kind: str) -> str:
    if value is None:
        raise NotThere(f"The {kind}'s id is not known, so its step has to run first.")
    return value
