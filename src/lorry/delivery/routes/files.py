"""The steps that bring a model's files to the Hub and into the platform's registry."""

from __future__ import annotations

from lorry.delivery.intents import Change, Creation
from lorry.delivery.meter import Meter
from lorry.delivery.ports import (
    Import,
    ImportState,
    ModelKind,
    Publication,
    Published,
    Revision,
    RevisionState,
)
from lorry.delivery.routes.common import base_of, known, mark, says
from lorry.delivery.run import Done, Pending, Run, Step
from lorry.delivery.source import files_of, verify_source
from lorry.errors import ImportFailed, LorryError, RevisionRejected, SourcePrivate

#: The word that stands for the repository that the delivery publishes.
HUB = "hub"


def registry_steps() -> tuple[Step, ...]:
    """List the steps from a checked file to a validated revision at the platform."""
    return (
        Step("publish", "Publishing the files to the Hub.", publish, when=publishes, heavy=True),
        Step("register", "Registering the model at the platform.", register),
        Step(
            "upload",
            "Uploading the files.",
            upload,
            when=lambda run: run.options.remote is None,
            heavy=True,
        ),
        Step(
            "import", "Having the platform fetch the files.", fetch, when=lambda run: bool(run.options.remote)
        ),
        Step("validate", "Waiting for the platform to validate the files.", validate),
    )


def publishes(run: Run) -> bool:
    """Say whether a delivery that uploads its files has a repository on the Hub too."""
    return run.place.route == "local" or run.options.remote == HUB


async def publish(run: Run) -> Done:
    """Bring the files to the Hub; doing it again is free."""
    await verify_source(run.model)
    model = run.model
    private = not run.options.public
    publication = Publication(run.name, files_of(model), model.base, model.trigger, model.digest, private)
    published = await _published_once(run, publication)
    return Done(
        f"Published as {published.repo} at {published.commit[:8]}.",
        ids={"hub_repo": published.repo, "hub_commit": published.commit},
        data={"url": published.url},
    )


async def _published_once(run: Run, publication: Publication) -> Published:
    """Publish; the Hub compares contents, so publishing what is there already is the look at it."""
    made: list[Published] = []

    async def act() -> None:
        made.append(await run.publisher.publish(publication))

    change = Change(
        key=run.key("repository"),
        kind="publication",
        name=publication.repo,
        what={"repo": publication.repo, "sha256": publication.digest, "private": publication.private},
        there=lambda: says(False),
        act=act,
    )
    await run.change(change)
    return made[0]


async def register(run: Run) -> Done:
    """Make the model record, whose description carries our mark."""
    registry = run.platform.registry
    base = await base_of(run)
    about = f"Made by Lorry: {run.model.name}, {mark(run)}"
    kind = ModelKind.MODEL if run.model.kind == "checkpoint" else ModelKind.ADAPTER
    creation = Creation(
        key=run.key("model"),
        kind="model",
        name=run.name,
        what={"name": run.name, "base": base.id, "type": str(kind), "description": about},
        find=lambda: registry.find(run.name),
        create=lambda: registry.create(run.name, base, about, kind),
        ours=lambda found: says(mark(run) in found.description),
        id_of=lambda found: found.id,
    )
    hosted = await run.create(creation, "register")
    of = f", a variant of {base.name}" if base.name != run.model.base else ""
    # What an earlier delivery had the platform fetch is no job of this one; `_job` adopts it where it can.
    ids = {"model": hosted.id, "adapter_name": hosted.name, "job": None}
    return Done(f"It is {hosted.name} there{of}.", ids=ids)


async def upload(run: Run) -> Done:
    """Upload the files as one revision; one that is there and was not refused is adopted."""
    await verify_source(run.model)
    registry = run.platform.registry
    model = known((await run.placement()).ids.model, "model")
    files = files_of(run.model)
    size = sum(file.path.stat().st_size for file in files)
    meter = Meter(lambda message, data: run.note("upload", "progress", message, data))
    creation = Creation(
        key=run.key("revision"),
        kind="revision",
        name=run.name,
        what={"files": [file.name for file in files], "bytes": size, "sha256": run.model.digest},
        find=lambda: _usable(run, model),
        create=lambda: registry.upload(model, files, meter.tell),
        ours=lambda _: says(True),  # the model is ours, so what is in it is
        id_of=lambda found: found.id,
    )
    try:
        revision = await run.create(creation, "upload")
    finally:
        await meter.settle()
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return Done(f"{count}, {size:,} bytes.", ids={"revision": revision.id}, data={"bytes": size})


async def _usable(run: Run, model: str) -> Revision | None:
    revisions = await run.platform.registry.revisions(model)
    return next((found for found in revisions if found.state is not RevisionState.REJECTED), None)


async def fetch(run: Run) -> Done | Pending:
    """Have the platform fetch the files by itself, and wait until it has them."""
    ids = (await run.placement()).ids
    model = known(ids.model, "model")
    job = await _job(run, model)
    if job.state is ImportState.FAILED:
        raise _import_failed(run, job)
    if job.state is ImportState.RUNNING:
        return Pending(job.message or "The platform is fetching the files.", said=job.said)
    revision = await _usable(run, model)
    if revision is None:
        return Pending("The revision does not show up yet.", said=job.said)
    return Done(
        f"The platform fetched the files from {_shown(job.source)}.",
        ids={"job": job.id, "revision": revision.id},
        data={"said": job.said},
    )


async def _job(run: Run, model: str) -> Import:
    registry, address = run.platform.registry, _source(run, (await run.placement()).ids.hub_repo)

    async def find() -> Import | None:
        """Find this delivery's job, or an earlier one that still runs or left files that can be used."""
        mine = (await run.placement()).ids.job
        jobs = await registry.imports(model)
        for job in jobs:
            if job.id == mine or job.state is ImportState.RUNNING:
                return job
            if job.state is ImportState.DONE and await _usable(run, model) is not None:
                return job
        return None

    found = await find()
    if found is not None:
        return found
    creation = Creation(
        key=run.key("import"),
        kind="import",
        name=run.name,
        what={"source": _shown(address)},  # what comes after the question mark may be a permission
        find=find,
        create=lambda: registry.fetch(model, address, run.place.token),
        ours=lambda _: says(True),
        id_of=lambda job: job.id,
    )
    made = await run.create(creation, "import")
    await run.save_ids(job=made.id)
    return made


def _source(run: Run, repo: str | None) -> str:
    if run.options.remote == HUB:
        return f"{run.place.hub}/{known(repo, 'repository')}"
    return known(run.options.remote, "source")


def _shown(address: str) -> str:
    return address.partition("?")[0]


def _import_failed(run: Run, job: Import) -> LorryError:
    kind = job.fault or ImportFailed
    said = job.message or "it gave no reason."
    fix = None
    if kind is SourcePrivate and run.place.token is None:
        fix = "Set HF_TOKEN to a token that may read it, and run the same command again."
    return kind(
        f"The platform could not fetch the files from {_shown(job.source)}: {said}",
        fix=fix,
        evidence={"job": job.id, "said": job.said, "message": job.message},
    )


async def validate(run: Run) -> Done | Pending:
    """Wait until the platform has read the files."""
    ids = (await run.placement()).ids
    model = known(ids.model, "model")
    revisions = await run.platform.registry.revisions(model)
    found = next((revision for revision in revisions if revision.id == ids.revision), None)
    if found is None:
        return Pending("The revision does not show up yet.")
    if found.state is RevisionState.PENDING:
        return Pending("The platform is reading the files.", said=found.said)
    if found.state is RevisionState.REJECTED:
        reasons = list(found.reasons) or ["it gave no reason."]
        raise RevisionRejected(
            f"The platform refused the files: {' '.join(reasons)}",
            fix=f"Correct the file, run `lorry retire {run.model.name}`, and ship it again.",
            evidence={"revision": found.id, "reasons": reasons, "said": found.said},
        )
    return Done("The platform accepts the files.", data={"said": found.said})
