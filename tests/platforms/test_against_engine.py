"""Our reading of the API against the engine's: two rooms that never saw each other agree."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from lorry.delivery.choosing import Purpose, choose
from lorry.delivery.ports import (
    DeploymentOrder,
    DeploymentState,
    HostedBase,
    HostedDeployment,
    HostedEndpoint,
    HostedModel,
    ModelKind,
    Platform,
    Revision,
    RevisionState,
    UploadFile,
)
from lorry.engine.pace import Pace
from lorry.engine.renderers.base import base_model
from lorry.engine.testing import FlatRenderer, RunningEngine, running_engine
from lorry.errors import AnswerLost, Conflict, KeyRejected, NotThere, RequestRefused
from lorry.model.generation import PictureOrder
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.platforms.together import connect
from tests.engine.samples import write_adapter
from tests.platforms.wire import line_to

BASE = "lorry/flux-icons-64"
KEY = "the-only-key"
PART = 100_000


def _check(path: Path, base: str) -> WeightsReport:
    """Stand in for the check of weights: what is too small is no adapter."""
    file = next(iter(path.glob("*.safetensors"))) if path.is_dir() else path
    summary = WeightsSummary(str(path), str(file), file.stat().st_size, modules=len(base_model().layers))
    bad = Finding("NO_LORA_KEYS", Severity.ERROR, "It has no LoRA keys.", "Export it again.")
    return WeightsReport(summary, (bad,) if file.stat().st_size < 1000 else ())


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[RunningEngine]:
    """Run an engine in which validating and starting take two looks each."""
    with running_engine(home, pace=Pace.looks(2), api_key=KEY, check=_check) as running:
        yield running


@pytest.fixture
async def platform(engine: RunningEngine) -> AsyncIterator[Platform]:
    """Connect to the engine, with parts of 100,000 bytes."""
    async with connect(engine.url, KEY, part_size=PART) as connected:
        yield connected


@pytest.fixture
def weights(tmp_path: Path) -> UploadFile:
    """Give an adapter of several parts."""
    path = write_adapter(tmp_path / "adapter")
    assert path.stat().st_size > 3 * PART
    return UploadFile(path.name, path)


def own_order(name: str, base: HostedBase, model: HostedModel, revision: Revision) -> DeploymentOrder:
    """Order a deployment of a model's own, in the cheapest configuration that makes one."""
    config = choose(base, Purpose.OWN, None).resource
    return DeploymentOrder(name, f"{model.resource}/revisions/{revision.id}", config)


def _quiet(_sent: int, _total: int) -> None:
    pass


async def _validated(platform: Platform, model: HostedModel) -> Revision:
    for _ in range(10):
        newest, *_ = await platform.registry.revisions(model.id)
        if newest.state is not RevisionState.PENDING:
            return newest
    raise AssertionError("the revision is pending after ten looks")


async def _in_state(
    platform: Platform, endpoint: HostedEndpoint, deployment: str, state: DeploymentState
) -> list[DeploymentState]:
    seen: list[DeploymentState] = []
    for _ in range(10):
        found = await platform.deployments.look(endpoint.id, deployment)
        assert found is not None
        assert found.message
        seen.append(found.state)
        if found.state is state:
            return seen
    raise AssertionError(f"{state} is not reached after ten looks: {seen}")


async def _shipped(
    platform: Platform, weights: UploadFile
) -> tuple[HostedModel, HostedEndpoint, HostedDeployment]:
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("lorry-tok", base, "made by a test", ModelKind.ADAPTER)
    await platform.registry.upload(model.id, [weights], _quiet)
    revision = await _validated(platform, model)
    assert revision.state is RevisionState.VALID
    endpoint = await platform.endpoints.create("lorry-tok")
    order = own_order("lorry-tok", base, model, revision)
    deployment = await platform.deployments.create(endpoint.id, order)
    await _in_state(platform, endpoint, deployment.id, DeploymentState.READY)
    assert (await platform.endpoints.route(endpoint.id, {deployment.id: 1})).routed == (deployment.id,)
    return model, endpoint, deployment


async def test_the_whole_life_of_a_model(
    platform: Platform, engine: RunningEngine, weights: UploadFile
) -> None:
    """From nothing to a picture that the adapter changes, and back to nothing, step by step."""
    model, endpoint, deployment = await _shipped(platform, weights)
    assert await platform.registry.find("lorry-tok") == model
    order = functools.partial(PictureOrder, endpoint.name, "TOK", 7, steps=2, size=64, adapter=model.name)
    without, again, acting, deployed = [
        (await platform.painter.paint(order(scale=scale)))[0].png for scale in (0.0, 0.0, 1.0, None)
    ]
    assert _pixels(without) == _pixels(again) != _pixels(acting) == _pixels(deployed)
    await platform.endpoints.route(endpoint.id, {})
    await platform.deployments.stop(endpoint.id, deployment.id)
    assert DeploymentState.STOPPED in await _in_state(
        platform, endpoint, deployment.id, DeploymentState.STOPPED
    )
    await platform.deployments.stop(endpoint.id, deployment.id)
    await platform.deployments.delete(endpoint.id, deployment.id)
    await platform.endpoints.delete(endpoint.id)
    await platform.registry.delete(model.id)
    assert engine.counts() == {"models": 0, "revisions": 0, "endpoints": 0, "deployments": 0, "repos": 0}


async def test_each_picture_of_several_is_given_again_by_its_seed(
    platform: Platform, weights: UploadFile
) -> None:
    """Picture i of an order is the picture that seed + i gives alone."""
    _, endpoint, _ = await _shipped(platform, weights)
    several = await platform.painter.paint(PictureOrder(endpoint.name, "TOK", 7, steps=2, count=5))
    alone = await platform.painter.paint(PictureOrder(endpoint.name, "TOK", 10, steps=2))
    assert [picture.seed for picture in several] == [7, 8, 9, 10, 11]
    assert _pixels(several[3].png) == _pixels(alone[0].png)
    assert len({_pixels(picture.png) for picture in several}) == 5


async def test_a_second_upload_sends_no_content(platform: Platform, weights: UploadFile) -> None:
    """The engine has the bytes: progress is whole with the first report, and a second revision appears."""
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("lorry-tok", base, "", ModelKind.ADAPTER)
    told: list[tuple[int, int]] = []
    first = await platform.registry.upload(model.id, [weights], lambda *step: told.append(step))
    size = weights.path.stat().st_size
    assert told[-1] == (size, size)
    assert len(told) > 3
    told.clear()
    second = await platform.registry.upload(model.id, [weights], lambda *step: told.append(step))
    assert told == [(size, size)]
    assert [one.id for one in await platform.registry.revisions(model.id)] == [second.id, first.id]


class _CutOff(Exception):
    """Ends an upload in the middle, as a kill would."""


async def test_an_upload_that_was_cut_off_goes_on_where_it_was(
    engine: RunningEngine, weights: UploadFile, tmp_path: Path
) -> None:
    """Half of the bytes were sent: another connection begins behind the parts that are there, and ends."""
    size = weights.path.stat().st_size
    told: list[tuple[int, int]] = []

    def cut_off(sent: int, total: int) -> None:
        if sent > total / 2:
            raise _CutOff

    at = functools.partial(connect, engine.url, KEY, part_size=PART // 5, uploads=tmp_path / "kept")
    async with at() as first:
        model = await first.registry.create(
            "lorry-tok", await first.registry.base(BASE), "", ModelKind.ADAPTER
        )
        with pytest.raises(_CutOff):
            await first.registry.upload(model.id, [weights], cut_off)
        assert await first.registry.revisions(model.id) == ()
    async with at() as second:
        await second.registry.upload(model.id, [weights], lambda *step: told.append(step))
        assert (await _validated(second, model)).state is RevisionState.VALID
        assert len(await second.registry.revisions(model.id)) == 1
    assert told[0][0] >= PART // 5
    assert told[-1] == (size, size)


async def test_a_revision_that_is_refused_says_why(platform: Platform, tmp_path: Path) -> None:
    """The engine's finding arrives as a reason, in its own words."""
    path = tmp_path / "pytorch_lora_weights.safetensors"
    path.write_bytes(b"too small")
    model = await platform.registry.create(
        "lorry-tok", await platform.registry.base(BASE), "", ModelKind.ADAPTER
    )
    await platform.registry.upload(model.id, [UploadFile(path.name, path)], _quiet)
    revision = await _validated(platform, model)
    assert revision.state is RevisionState.REJECTED
    assert any("It has no LoRA keys." in reason for reason in revision.reasons)


async def test_lost_answers_leave_what_can_be_found_again(
    platform: Platform, engine: RunningEngine, weights: UploadFile
) -> None:
    """Each creating call whose answer is lost says so, and what it made is found by name."""
    base = await platform.registry.base(BASE)
    async with (
        line_to(engine.url) as line,
        connect(line.url, KEY, project=engine.project) as at,
    ):
        line.losing = True
        with pytest.raises(AnswerLost):
            await at.registry.create("lorry-tok", base, "", ModelKind.ADAPTER)
        with pytest.raises(AnswerLost):
            await at.endpoints.create("lorry-tok")
        model, endpoint = (
            await platform.registry.find("lorry-tok"),
            await platform.endpoints.find("lorry-tok"),
        )
        assert model is not None
        assert endpoint is not None
        await platform.registry.upload(model.id, [weights], _quiet)
        revision = await _validated(platform, model)
        with pytest.raises(AnswerLost):
            await at.deployments.create(endpoint.id, own_order("lorry-tok", base, model, revision))
    (deployment,) = await platform.deployments.list(endpoint.id)
    assert deployment.name.endswith("/lorry-tok/lorry-tok")
    assert engine.counts() == {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 0}


async def test_a_taken_name_is_a_conflict(platform: Platform) -> None:
    """A second create of the same name is refused as such, and adopts nothing by itself."""
    await platform.endpoints.create("lorry-tok")
    with pytest.raises(Conflict, match="lorry-tok"):
        await platform.endpoints.create("lorry-tok")


async def test_what_still_runs_can_not_be_deleted(platform: Platform, weights: UploadFile) -> None:
    """The engine's refusal arrives with its sentence."""
    _, endpoint, deployment = await _shipped(platform, weights)
    with pytest.raises((RequestRefused, Conflict)) as caught:
        await platform.deployments.delete(endpoint.id, deployment.id)
    assert caught.value.evidence["said"]


async def test_a_deployment_that_fails_says_why_and_can_be_removed(home: Path, weights: UploadFile) -> None:
    """A renderer that injects another number of layers than was foreseen: FAILED, why, then gone."""
    with running_engine(home, renderer=FlatRenderer(modules=3), check=_check) as engine:
        async with connect(engine.url, KEY) as platform:
            base = await platform.registry.base(BASE)
            model = await platform.registry.create("lorry-tok", base, "", ModelKind.ADAPTER)
            revision = await platform.registry.upload(model.id, [weights], _quiet)
            endpoint = await platform.endpoints.create("lorry-tok")
            order = own_order("tok", base, model, revision)
            made = await platform.deployments.create(endpoint.id, order)
            await _in_state(platform, endpoint, made.id, DeploymentState.FAILED)
            failed = await platform.deployments.look(endpoint.id, made.id)
            assert failed is not None
            assert "3" in failed.message
            await platform.deployments.delete(endpoint.id, made.id)
            assert await platform.deployments.list(endpoint.id) == ()


async def test_what_is_not_there_is_gone_already(platform: Platform) -> None:
    """Deleting and stopping what the engine does not know is fine; a base that it lacks is not."""
    await platform.registry.delete("ml_none")
    await platform.endpoints.delete("ep_none")
    await platform.deployments.stop("ep_none", "dep_none")
    await platform.deployments.delete("ep_none", "dep_none")
    with pytest.raises(NotThere, match="acme/nothing"):
        await platform.registry.base("acme/nothing")


async def test_a_wrong_key_is_rejected(engine: RunningEngine) -> None:
    """The engine's 401 is KeyRejected, and the key stays out of it."""
    async with connect(engine.url, "another-key") as platform:
        with pytest.raises(KeyRejected) as caught:
            await platform.registry.find("lorry-tok")
    assert "another-key" not in str(caught.value.as_dict())


async def test_names_are_found_among_many(platform: Platform) -> None:
    """More endpoints than one page holds: the last one is found too, and a prefix is not."""
    await asyncio.gather(*(platform.endpoints.create(f"lorry-{number}") for number in range(55)))
    for name in ("lorry-0", "lorry-54"):
        found = await platform.endpoints.find(name)
        assert found is not None
        assert found.name.rpartition("/")[2] == name
    assert await platform.endpoints.find("lorry") is None


def _pixels(png: bytes) -> bytes:
    with Image.open(BytesIO(png)) as image:
        assert image.size == (64, 64)
        return image.convert("RGB").tobytes()
