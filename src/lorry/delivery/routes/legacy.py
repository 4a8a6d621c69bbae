"""Upload job and endpoint of Together's first version, where an account still has it: `together-v1`."""

from __future__ import annotations

from lorry.delivery.intents import Change, Creation
from lorry.delivery.plan import Plan
from lorry.delivery.ports import Import, ImportState, LegacyEndpoint, LegacyHardware, LegacyState
from lorry.delivery.proofs.proving import prove_words
from lorry.delivery.proofs.trials import compared_model
from lorry.delivery.routes.common import known, says
from lorry.delivery.routes.ending import ready_step
from lorry.delivery.routes.files import HUB, publish
from lorry.delivery.routes.forecasts import Draft
from lorry.delivery.routes.removing import closing_steps
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.errors import DeploymentFailed, ImportFailed, LorryError, NoCapacity
from lorry.model.forecast import Forecast, Obstacle, Price

_CLOSED = "Together refuses new endpoints of its first version (403), and all of it ends with 2026."
_UNLESS = "The embedded engine refuses them as Together does, unless it was started with `lorry engine --v1`."
_UNDER_WAY = (LegacyState.STARTING, LegacyState.READY)
_INSTEAD = "Use `--route together-attached` or `--route together-merged`."


def plan() -> Plan:
    """Give the plan of this route."""
    return Plan(
        ship=(
            Step("publish", "Publishing the files to the Hub.", publish, when=_publishes, heavy=True),
            Step("upload", "Having the platform fetch the files.", _upload),
            Step("job", "Waiting for the upload job.", _job),
            Step("endpoint", "Making the endpoint.", _endpoint),
            Step("wait", "Waiting for the endpoint to be started.", _wait),
            Step("prove", "Proving that it acts.", lambda run: prove_words(run, compared_model)),
            ready_step(),
        ),
        retire=(
            Step("endpoint", "Deleting the endpoint.", _delete_endpoint),
            Step("gone", "Waiting until it is gone.", _gone),
            *closing_steps(),
        ),
        begin=_begin,
        serves=_serves,
        halt=_delete_endpoint,
        forecast=_forecast,
    )


def _publishes(run: Run) -> bool:
    return run.options.remote in (None, HUB)


async def _begin(run: Run) -> Price | None:
    return await _price(run)


async def _price(run: Run) -> Price:
    offers = await run.platform.legacy.hardware(run.model.base)
    cents = offers[0].cents_per_hour if offers else None
    return Price(cents, "replica-hour", f"{run.platform.address}, asked now")


async def _upload(run: Run) -> Done:
    source = await _source(run)
    legacy, adapter = run.platform.legacy, run.model.kind == "text-lora"
    before = await legacy.find_job(run.name)
    failed = before.id if before and before.state is ImportState.FAILED else None

    async def find() -> Import | None:
        """Find the newest job; one that failed before this delivery is tried anew."""
        found = await legacy.find_job(run.name)
        return None if found and found.id == failed else found

    creation = Creation(
        key=run.key("job"),
        kind="upload job",
        name=run.name,
        what={"name": run.name, "source": source.partition("?")[0], "adapter": adapter},
        find=find,
        create=lambda: legacy.upload(
            run.name, source, adapter=adapter, base=run.model.base, token=run.place.token
        ),
        ours=lambda _: says(True),  # the name carries the digest of our files
        id_of=lambda job: job.id,
    )
    job = await run.create(creation, "upload")
    return Done(f"The job is {job.id}.", ids={"job": job.id, "model": job.model, "adapter_name": job.model})


async def _source(run: Run) -> str:
    if not _publishes(run):
        return known(run.options.remote, "source")
    return f"{run.place.hub}/{known((await run.placement()).ids.hub_repo, 'repository')}"


async def _job(run: Run) -> Done | Pending:
    job = await run.platform.legacy.job(known((await run.placement()).ids.job, "job"))
    if job.state is ImportState.RUNNING:
        return Pending(job.message or f"The job is {job.said}.", said=job.said)
    if job.state is ImportState.FAILED:
        kind = job.fault or ImportFailed
        raise kind(
            f"The upload job failed: {job.message or 'it gave no reason.'}",
            evidence={"job": job.id, "said": job.said, "message": job.message},
        )
    return Done("The platform has the files.", ids={"adapter_name": job.model}, data={"said": job.said})


async def _endpoint(run: Run) -> Done | Pending:
    ids = (await run.placement()).ids
    legacy, model = run.platform.legacy, known(ids.adapter_name, "model")
    over = await legacy.find(run.name)
    if over is not None and over.model == model and over.state not in _UNDER_WAY:
        # Stopped for want of requests, or failed: v1 bills nothing for it, and a new one is a clean start.
        if over.state is not LegacyState.STOPPING:
            await _delete(run, over)
        return Pending("A stopped endpoint of an earlier delivery is cleared away.", said=over.said)
    hardware = await _hardware(run, model)
    creation = Creation(
        key=run.key("endpoint"),
        kind="endpoint",
        name=run.name,
        what={"name": run.name, "model": model, "hardware": hardware.id},
        find=lambda: legacy.find(run.name),
        create=lambda: legacy.create(run.name, model, hardware.id, run.options.inactive_minutes or 0),
        ours=lambda found: says(found.model == model),
        id_of=lambda found: found.id,
    )
    found = await run.create(creation, "endpoint")
    return Done(
        f"Requests go to {found.name}, on {hardware.id}.",
        ids={"endpoint": found.id, "endpoint_name": found.name, "base_name": run.model.base},
        data={"hardware": hardware.id, "cents_per_hour": hardware.cents_per_hour},
    )


async def _hardware(run: Run, model: str) -> LegacyHardware:
    offers = await run.platform.legacy.hardware(model)
    wanted = run.options.config
    fitting = [offer for offer in offers if wanted in (None, offer.id)]
    free = [offer for offer in fitting if offer.free]
    if free:
        return free[0]
    names = ", ".join(offer.id for offer in offers) or "none"
    raise NoCapacity(
        f"No hardware is free for {model}: the platform offers {names}.",
        evidence={"model": model, "wanted": wanted, "offers": [offer.id for offer in offers]},
    )


async def _wait(run: Run) -> Done | Pending:
    found = await _present(run)
    if found is not None and found.state is LegacyState.READY:
        return Done("The endpoint is started.", data={"said": found.said})
    if found is not None and found.state is LegacyState.STARTING:
        return Pending(f"The endpoint is {found.said}.", said=found.said)
    state = found.said if found else "gone"
    raise DeploymentFailed(f"The endpoint is {state}.", evidence={"state": state})


async def _present(run: Run) -> LegacyEndpoint | None:
    endpoint = (await run.placement()).ids.endpoint
    if endpoint is None:
        return await run.platform.legacy.find(run.name)
    return await run.platform.legacy.look(endpoint)


async def _serves(run: Run) -> bool:
    found = await _present(run)
    return found is not None and found.state in _UNDER_WAY


async def _delete_endpoint(run: Run) -> Done:
    found = await _present(run)
    if found is None:
        return Done("There is none.")
    await _delete(run, found)
    return Done("It is being deleted; the uploaded model stays, as v1 has no call that deletes it.")


async def _delete(run: Run, endpoint: LegacyEndpoint) -> None:
    legacy = run.platform.legacy

    async def gone() -> bool:
        found = await legacy.look(endpoint.id)
        return found is None or found.state is LegacyState.STOPPING

    change = Change(
        key=run.key("delete/endpoint"),
        kind="deletion of the endpoint",
        name=endpoint.name,
        what={"endpoint": endpoint.id},
        there=gone,
        act=lambda: legacy.delete(endpoint.id),
    )
    await run.change(change)


async def _gone(run: Run) -> Done | Pending:
    found = await _present(run)
    return Done("It is gone.") if found is None else Pending(f"It is {found.said}.", said=found.said)


async def _forecast(run: Run) -> Forecast:
    draft = Draft(run)
    draft.asked.append("hardware")
    try:
        draft.price = await _price(run)
    except LorryError as error:
        draft.refused(error)
    # Nothing can be asked that tells: the first version has no dry run, and refuses only what is created.
    played = run.place.rehearsal
    draft.obstacles.append(Obstacle("v1_closed", _UNLESS if played else _CLOSED, _INSTEAD))
    if _publishes(run):
        kind = "public" if run.options.public else "private"
        draft.creates.append(f"the {kind} repository {run.name} on the Hub")
    try:
        await _forecast_things(draft)
    except LorryError as error:
        draft.refused(error)
    return draft.done()


async def _forecast_things(draft: Draft) -> None:
    run, legacy = draft.run, draft.run.platform.legacy
    draft.asked += ["jobs", "endpoints"]
    job, endpoint = await legacy.find_job(run.name), await legacy.find(run.name)
    if job is not None and job.state is not ImportState.FAILED:
        draft.finds.append(f"the model {job.model}, by the upload job {job.id}")
    else:
        draft.creates.append(f"the model {run.name}, by an upload job")
    if endpoint is not None and endpoint.state in _UNDER_WAY:
        draft.finds.append(f"the endpoint {endpoint.name}, {endpoint.state}")
    else:
        draft.creates.append(f"the endpoint {run.name}")
