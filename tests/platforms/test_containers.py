"""Containers and their queue against the engine: two readings of one API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorry.delivery.doubles import Ground, memory_platform
from lorry.delivery.ports import ContainerOrder, ContainerState, JobState, Platform
from lorry.engine.testing import RunningEngine, running_engine
from lorry.errors import Conflict, DeliveryTimeout, NotThere, RequestRefused
from lorry.model.generation import LoraUse, PictureOrder
from lorry.platforms.together import connect
from lorry.platforms.together.containers import state_of
from lorry.platforms.together.jobs import paint_by_jobs

BASE = "lorry/flux-icons-64"
ORDER = ContainerOrder("worker-box", "registry/lorry-worker:1", environment={"LORRY_BASE": BASE})


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[RunningEngine]:
    """Run an engine."""
    with running_engine(home) as running:
        yield running


@pytest.fixture
async def platform(engine: RunningEngine) -> AsyncIterator[Platform]:
    """Connect to it."""
    async with connect(engine.url, "any") as connected:
        yield connected


async def test_a_container_comes_and_goes(platform: Platform) -> None:
    """It is found by its name, says that it is ready, writes lines, and is gone when it is destroyed."""
    containers = platform.containers
    assert await containers.find("worker-box") is None
    made = await containers.create(ORDER)
    found = await containers.look(made.id)
    assert found is not None
    assert (found.name, found.state, found.image) == ("worker-box", ContainerState.READY, ORDER.image)
    assert (await containers.find("worker-box")) == found
    assert any("ready" in line for line in await containers.logs(made.id))
    await containers.destroy(made.id)
    await containers.destroy(made.id)
    assert await containers.look(made.id) is None
    assert await containers.logs(made.id) == ()


async def test_an_image_that_can_t_run_says_why(platform: Platform) -> None:
    """A failed container carries the replica's own words."""
    made = await platform.containers.create(ContainerOrder("strange-box", "registry/other:1"))
    found = await platform.containers.look(made.id)
    assert found is not None
    assert found.state is ContainerState.FAILED
    assert "Docker" in found.message


async def test_pictures_come_out_of_the_queue_in_order_of_their_seeds(platform: Platform) -> None:
    """Six pictures are two jobs; each is a PNG under its own seed, the same order the same pictures."""
    await platform.containers.create(ORDER)
    order = PictureOrder(BASE, "a cat", 5, count=6, size=64, container="worker-box")
    first = await platform.painter.paint(order)
    assert [picture.seed for picture in first] == [5, 6, 7, 8, 9, 10]
    assert all(picture.png.startswith(b"\x89PNG") for picture in first)
    assert first == await platform.painter.paint(order)
    counts = await platform.queue.metrics("worker-box")
    assert (counts.running, counts.waiting) == (0, 0)


async def test_a_job_that_can_t_be_drawn_ends_with_the_worker_s_sentence(platform: Platform) -> None:
    """A LoRA that can't be fetched refuses the order, with the reason of the worker's own check."""
    await platform.containers.create(ORDER)
    order = PictureOrder(
        BASE, "a cat", 1, loras=(LoraUse("http://127.0.0.1:1/x.safetensors", 1.0),), container="worker-box"
    )
    with pytest.raises(RequestRefused, match="not encrypted") as caught:
        await platform.painter.paint(order)
    assert caught.value.evidence["error"]["code"] == "option_invalid"


async def test_what_the_queue_does_not_know_is_told(platform: Platform) -> None:
    """An unknown job is not there, and one that has ended can't be canceled."""
    await platform.containers.create(ORDER)
    with pytest.raises(NotThere):
        await platform.queue.look("worker-box", "req_none")
    await platform.painter.paint(PictureOrder(BASE, "a cat", 1, container="worker-box"))
    job = await platform.queue.submit("worker-box", {"prompt": "a cat"})
    while (await platform.queue.look("worker-box", job)).state in (JobState.PENDING, JobState.RUNNING):
        pass
    with pytest.raises(Conflict):
        await platform.queue.cancel("worker-box", job)


@pytest.mark.parametrize(
    ("said", "ready", "state"),
    [
        ("Ready", 1, ContainerState.READY),
        ("Updating", 0, ContainerState.STARTING),
        ("Updating", 1, ContainerState.READY),
        ("Scaling", 2, ContainerState.READY),
        ("ScaledToZero", 0, ContainerState.ASLEEP),
        ("Failed", 0, ContainerState.FAILED),
        ("Something new", 0, ContainerState.STARTING),
    ],
)
def test_states_are_read(said: str, ready: int, state: ContainerState) -> None:
    """A container that changes and has a ready replica answers; a state that is new to us is on its way."""
    assert state_of(said, ready) is state


class Stuck:
    """A queue whose jobs never end."""

    def __init__(self) -> None:
        self.queue = memory_platform(Ground()).queue
        self.canceled: list[str] = []

    async def submit(self, container: str, payload: object) -> str:  # noqa: ARG002 - the port's
        """Take a job."""
        return "req_1"

    async def look(self, container: str, job: str) -> object:  # noqa: ARG002 - the port's
        """Say that it waits."""
        from lorry.delivery.ports import Job

        return Job(job, JobState.PENDING)

    async def cancel(self, container: str, job: str) -> None:  # noqa: ARG002 - the port's
        """Take it out."""
        self.canceled.append(job)

    async def metrics(self, container: str) -> object:  # noqa: ARG002 - the port's
        """Count nothing."""
        return None


async def test_a_job_that_never_ends_is_given_up_and_taken_out() -> None:
    """The wait has an end; pauses grow to a bound, and the job is taken back."""
    stuck, pauses = Stuck(), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(DeliveryTimeout, match="15 minutes"):
        await paint_by_jobs(stuck, PictureOrder(BASE, "a cat", 1, container="box"), sleep)  # type: ignore[arg-type]
    assert stuck.canceled == ["req_1"]
    assert pauses == sorted(pauses)
    assert max(pauses) == 3.0
    assert 900 <= sum(pauses) < 903


async def test_pictures_of_the_double_are_those_of_its_painter() -> None:
    """The queue's double answers in the worker's own form: what is drawn by jobs can be read."""
    platform = memory_platform(Ground())
    await platform.containers.create(ORDER)
    order = PictureOrder(BASE, "a cat", 1, count=2, container="worker-box")
    drawn = await paint_by_jobs(platform.queue, order)
    assert [picture.seed for picture in drawn] == [1, 2]
    assert base64.b64encode(drawn[0].png)
