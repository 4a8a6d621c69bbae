"""An image LoRA in our worker on a dedicated container: `together-container`.

One container serves all LoRAs of its base: each job names the adapter's address, and the worker fetches it.
"""

from __future__ import annotations

from lorry.delivery.intents import Change, Creation
from lorry.delivery.plan import Plan
from lorry.delivery.ports import Container, ContainerOrder, ContainerState
from lorry.delivery.proofs.proving import prove_pictures
from lorry.delivery.proofs.trials import contained_adapter
from lorry.delivery.routes.common import known, says, shared_name
from lorry.delivery.routes.ending import ready_step
from lorry.delivery.routes.files import publish
from lorry.delivery.routes.forecasts import Draft
from lorry.delivery.routes.removing import closing_steps
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.delivery.source import files_of
from lorry.errors import DeploymentFailed, NotThere, OptionInvalid
from lorry.model.forecast import Forecast, Obstacle, Price

_PRICE = Price(
    None,
    "replica-hour",
    "Together API dossier 4, 2026-09-30",
    "access and prices are granted by Together's sales",
)


def plan() -> Plan:
    """Give the plan of this route."""
    return Plan(
        ship=(
            Step("publish", "Publishing the files to the Hub.", publish, when=_publishes, heavy=True),
            Step("address", "Making sure that the worker can be given its address.", _address),
            Step("container", "Finding the container.", _container),
            Step("wait", "Waiting for the container to be ready.", _wait),
            Step(
                "prove", "Proving that the adapter acts.", lambda run: prove_pictures(run, contained_adapter)
            ),
            ready_step(),
        ),
        retire=(
            Step("container", "Removing the container when nothing uses it any more.", _release),
            *closing_steps(),
        ),
        begin=_begin,
        serves=_serves,
        halt=_release,
        forecast=_forecast,
    )


def name_of(run: Run) -> str:
    """Give the name of the container that serves a model: the user's, or Lorry's own for the base."""
    return run.options.endpoint or shared_name(run.model.base)


def _publishes(run: Run) -> bool:
    return run.options.address is None


async def _begin(run: Run) -> Price | None:
    _reachable(run)
    found = await run.platform.containers.find(name_of(run))
    if found is not None:
        return None
    if run.options.image is None:
        raise NotThere(
            f"The platform has no container {name_of(run)}, and no image to run one from was named.",
            fix="Run `lorry container init DIR`, build and push it with jig, and add `--image IMAGE`.",
            evidence={"container": name_of(run)},
        )
    return _PRICE


def _reachable(run: Run) -> None:
    if run.options.address is None and not run.options.public:
        raise OptionInvalid(
            "The worker fetches the file without logging in, and a private repository needs a login.",
            fix="Add `--public` to publish it for everybody, or `--address URL` with an address of your own.",
            evidence={"route": run.place.route},
        )


async def _address(run: Run) -> Done:
    ids = (await run.placement()).ids
    address = run.options.address
    if address is None:
        repo, commit = known(ids.hub_repo, "repository"), known(ids.hub_commit, "commit")
        address = f"{run.place.hub}/{repo}/resolve/{commit}/{files_of(run.model)[0].name}"
    return Done(f"Jobs name {address.partition('?')[0]}.", ids={"address": address})


async def _container(run: Run) -> Done:
    containers, name = run.platform.containers, name_of(run)
    order = ContainerOrder(
        name,
        run.options.image or "",
        # What the worker has to know; its key and a Hub's token are secrets, and set with jig.
        environment={"LORRY_BASE": run.model.base, "LORRY_HUB_URL": run.place.hub},
        min_replicas=run.options.min_replicas,
        max_replicas=run.options.max_replicas,
    )
    creation = Creation(
        key=run.key("container"),
        kind="container",
        name=name,
        what={"name": name, "image": order.image},
        find=lambda: containers.find(name),
        create=lambda: containers.create(order),
        ours=lambda _: says(True),  # a container is shared by all adapters of its base
        id_of=lambda found: found.id,
    )
    found = await run.create(creation, "container")
    return Done(f"Jobs go to {found.name}.", ids={"container": found.id, "endpoint_name": found.name})


async def _wait(run: Run) -> Done | Pending:
    found = await _present(run)
    if found is not None and found.state in (ContainerState.READY, ContainerState.ASLEEP):
        return Done(f"The container is {found.said or found.state}.", data={"said": found.said})
    if found is not None and found.state is ContainerState.STARTING:
        return Pending(found.message or "The container is starting.", said=found.said)
    said = found.message if found else "it is gone"
    logs = await run.platform.containers.logs(found.id) if found else ()
    raise DeploymentFailed(
        f"The container can't run: {said or 'the platform gave no reason.'}",
        fix=f"Run `lorry container logs {name_of(run)}` to see what it wrote.",
        evidence={"container": name_of(run), "said": found.said if found else None, "logs": list(logs[-5:])},
    )


async def _present(run: Run) -> Container | None:
    container = (await run.placement()).ids.container
    if container is None:
        return await run.platform.containers.find(name_of(run))
    return await run.platform.containers.look(container)


async def _serves(run: Run) -> bool:
    found = await _present(run)
    return found is not None and found.state is not ContainerState.FAILED


async def _release(run: Run) -> Done:
    """Remove the container, unless it is the user's own or another model uses it."""
    found = await _present(run)
    if found is None:
        return Done("There is none.")
    if run.options.endpoint is not None:
        return Done(f"{found.name} is yours and stays.")
    for model in await run.world.records.models():
        other = await run.world.records.placement(model.name)
        if model.name != run.model.name and other is not None and other.ids.container == found.id:
            return Done(f"{found.name} stays: {model.name} uses it.")
    containers = run.platform.containers

    async def gone() -> bool:
        return await containers.look(found.id) is None

    change = Change(
        key=run.key("delete/container"),
        kind="removal of the container",
        name=found.name,
        what={"container": found.id},
        there=gone,
        act=lambda: containers.destroy(found.id),
    )
    await run.change(change)
    return Done("It was removed, and nothing of it bills.")


async def _forecast(run: Run) -> Forecast:
    draft = Draft(run)
    draft.asked.append("containers")
    found = await run.platform.containers.find(name_of(run))
    try:
        await _begin(run)
    except (NotThere, OptionInvalid) as error:
        draft.obstacles.append(Obstacle(error.code, error.message, error.fix))
    if _publishes(run):
        kind = "public" if run.options.public else "private"
        draft.creates.append(f"the {kind} repository {run.name} on the Hub")
    if found is not None:
        draft.finds.append(f"the container {found.name}, {found.state}")
    else:
        draft.creates.append(f"the container {name_of(run)}")
        draft.price = _PRICE
    return draft.done()
