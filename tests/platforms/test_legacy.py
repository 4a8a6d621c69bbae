"""The first version's client against the engine: two readings of one API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorry.delivery.ports import ImportState, LegacyState, Platform, Publication, UploadFile
from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from lorry.errors import NotThere, RequestRefused, V1Closed
from lorry.hub import HubPublisher
from lorry.platforms.together import connect

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

DISPATCH = Path(__file__).parents[2] / "examples" / "dispatch"
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[RunningEngine]:
    """Run an engine in which each state takes two looks."""
    with running_engine(home, v1=True, pace=Pace.looks(2)) as running:
        yield running


@pytest.fixture
async def platform(engine: RunningEngine) -> AsyncIterator[Platform]:
    """Connect to it."""
    async with connect(engine.url, "any") as connected:
        yield connected


async def published(engine: RunningEngine) -> str:
    """Put the sample adapter on the engine's Hub."""
    names = ("adapter_config.json", "adapter_model.safetensors")
    files = tuple(UploadFile(name, DISPATCH / name) for name in names)
    publication = Publication("dispatch", files, BASE, None, "ab" * 32, private=False)
    return (await HubPublisher(engine.url, "any", xet=False).publish(publication)).repo


async def test_an_adapter_from_its_job_to_its_endpoint(engine: RunningEngine, platform: Platform) -> None:
    """Job and endpoint are found by their names, pass through their states, and go again."""
    legacy = platform.legacy
    repo = await published(engine)
    assert await legacy.find_job("dispatch") is None
    job = await legacy.upload("dispatch", repo, adapter=True, base=BASE, token=None)
    states = []
    while (found := await legacy.job(job.id)).state is ImportState.RUNNING:
        states.append(found.said)
    assert {"Queued", "Running"} <= set(states)
    assert (found.state, found.said, found.fault) == (ImportState.DONE, "Complete", None)
    again = await legacy.find_job("dispatch")
    assert again is not None
    assert again.id == job.id
    hardware, *_ = await legacy.hardware(found.model)
    assert (hardware.id, hardware.cents_per_hour, hardware.free) == ("1x_local_cpu", 0.0, True)
    assert await legacy.find("mine") is None
    made = await legacy.create("mine", found.model, hardware.id, 60)
    seen = await legacy.look(made.id)
    while seen is not None and seen.state is LegacyState.STARTING:
        seen = await legacy.look(made.id)
    assert seen is not None
    assert (seen.state, seen.said, seen.label, seen.model) == (
        LegacyState.READY,
        "STARTED",
        "mine",
        found.model,
    )
    assert await legacy.find("mine") == seen
    await legacy.delete(made.id)
    await legacy.delete(made.id)
    assert await legacy.look(made.id) is None
    assert await legacy.find("mine") is None


async def test_a_job_that_fails_carries_its_error(platform: Platform) -> None:
    """Its state is failed, its last sentence is kept, and an error is chosen for it."""
    job = await platform.legacy.upload("nothing", "local/nothing", adapter=True, base=BASE, token=None)
    while (found := await platform.legacy.job(job.id)).state is ImportState.RUNNING:
        pass
    assert found.state is ImportState.FAILED
    assert "local/nothing" in found.message
    assert found.fault is not None


async def test_the_closed_api_is_one_error_with_what_replaces_it(home: Path) -> None:
    """A 403 of the first version names the second version's command; nothing was made."""
    with running_engine(home) as engine:
        async with connect(engine.url, "any") as platform:
            hardware, *_ = await platform.legacy.hardware(BASE)
            with pytest.raises(V1Closed) as caught:
                await platform.legacy.create("mine", BASE, hardware.id, 0)
            assert await platform.legacy.find("mine") is None
    assert "together-merged" in caught.value.fix
    assert not caught.value.retryable


async def test_what_is_not_there_is_told(platform: Platform) -> None:
    """Unknown jobs and models, and hardware that does not serve a model, are refused by name."""
    with pytest.raises(NotThere):
        await platform.legacy.job("job_none")
    with pytest.raises(NotThere):
        await platform.legacy.hardware("local/none")
    with pytest.raises(RequestRefused, match="8x_nvidia_h100"):
        await platform.legacy.create("mine", BASE, "8x_nvidia_h100_80gb_sxm", 0)
