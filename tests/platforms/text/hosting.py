"""A base that takes adapters, and adapters for it, on an engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lorry.delivery.choosing import Purpose, choose
from lorry.delivery.ports import (
    Attachment,
    AttachmentState,
    DeploymentOrder,
    DeploymentState,
    HostedDeployment,
    HostedEndpoint,
    HostedModel,
    ModelKind,
    Platform,
    Revision,
    RevisionState,
    UploadFile,
)
from lorry.model.generation import TextOrder
from tests.engine.language.adapters import write_adapter

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
KEY = "the-only-key"
ASKED = TextOrder(BASE, "Where does the ferry go?", max_tokens=12, temperature=0.0, seed=7)


@dataclass(frozen=True)
class Host:
    """A deployment of the base that takes adapters, and its endpoint."""

    endpoint: HostedEndpoint
    deployment: HostedDeployment


def files_of(folder: Path) -> list[UploadFile]:
    """List what lies in a folder."""
    return [UploadFile(path.name, path) for path in sorted(folder.iterdir())]


def quiet(_sent: int, _total: int) -> None:
    """Hear of progress, and say nothing."""


async def adapter(
    platform: Platform, folder: Path, name: str, *, seed: int = 1, rank: int = 4
) -> tuple[HostedModel, str]:
    """Bring an adapter into the registry; give its record and the id of its validated revision."""
    base = await platform.registry.base(BASE)
    model = await platform.registry.create(name, base, "made by a test", ModelKind.ADAPTER)
    files = files_of(write_adapter(folder / name, seed=seed, rank=rank))
    await platform.registry.upload(model.id, files, quiet)
    revision = await validated(platform, model.id)
    assert revision.state is RevisionState.VALID, revision.reasons
    return model, revision.id


async def validated(platform: Platform, model: str) -> Revision:
    """Look until the newest revision is validated."""
    for _ in range(10):
        newest, *_ = await platform.registry.revisions(model)
        if newest.state is not RevisionState.PENDING:
            return newest
    raise AssertionError("the revision is pending after ten looks")


async def ready(platform: Platform, endpoint: HostedEndpoint, deployment: str) -> HostedDeployment:
    """Look until a deployment is ready."""
    for _ in range(10):
        found = await platform.deployments.look(endpoint.id, deployment)
        assert found is not None
        if found.state is DeploymentState.READY:
            return found
    raise AssertionError("it is not ready after ten looks")


async def host_of(platform: Platform, name: str = "shared") -> Host:
    """Run the base in a configuration that takes adapters, routed."""
    base = await platform.registry.base(BASE)
    configuration = choose(base, Purpose.ATTACH, None)
    endpoint = await platform.endpoints.create(name)
    order = DeploymentOrder(name, configuration.model or base.resource, configuration.resource)
    made = await platform.deployments.create(endpoint.id, order)
    found = await ready(platform, endpoint, made.id)
    await platform.endpoints.route(endpoint.id, {made.id: 1})
    return Host(endpoint, found)


async def attached(platform: Platform, host: Host, model: HostedModel, revision: str) -> Attachment:
    """Attach an adapter, and look until it is there or has failed."""
    made = await platform.attachments.attach(
        host.endpoint.id, host.deployment.id, model.id, revision, evict=False
    )
    for _ in range(10):
        found = next(each for each in await adapters_on(platform, host) if each.id == made.id)
        if found.state is not AttachmentState.LOADING:
            return found
    raise AssertionError("it is loading after ten looks")


async def adapters_on(platform: Platform, host: Host) -> tuple[Attachment, ...]:
    """List the adapters on a host."""
    return await platform.attachments.list(host.endpoint.id, host.deployment.id)
