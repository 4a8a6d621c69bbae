"""Replicas on a real local Ray: as one renderer in this process, and whatever is lost is drawn again."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.serving import Serving
from lorry.engine.renderers import open_renderer
from lorry.engine.renderers.port import AdapterUse, Picture, RenderRequest
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import SAMPLES

if TYPE_CHECKING:
    from lorry.engine.ray import RayServing

pytest.importorskip("ray", reason="needs the extra `ray`")

# Ray talks to its own processes at this machine's address, not at loopback alone.
pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayServing]:
    """Begin Ray on this machine with two replicas that do not look at the engine's disk."""
    from lorry.engine.ray import Fleet, RayServing

    home = tmp_path_factory.mktemp("ray")
    serving = RayServing(str(home), lambda: open_renderer("onnx", 1), Fleet(2, 2, shared_disk=False))
    yield serving
    with warnings.catch_warnings():
        # Ray lets go of its own processes while they are still ending, which Python remarks on.
        warnings.simplefilter("ignore", ResourceWarning)
        serving.close()
        del serving
        gc.collect()


def sample(name: str, key: str = "") -> Needed:
    """Name a sample adapter, under another key when one is given."""
    return Needed(key or name, SAMPLES[name])


def order(seed: int, key: str = "", steps: int = 4) -> list[RenderRequest]:
    """Ask for one picture."""
    uses = (AdapterUse(key),) if key else ()
    return [RenderRequest("TOK on a green background", seed, steps, adapters=uses)]


def spread(fleet: RayServing) -> dict[str, float]:
    """Say how many pictures each replica drew."""
    page = fleet.metrics().decode()
    found = re.findall(r'lorry_engine_replica_pictures_total\{replica="([^"]+)"\} (\S+)', page)
    return {name: float(count) for name, count in found}


def alike(found: list[Picture], expected: list[Picture]) -> bool:
    """Say whether pictures are the same but for the last level (tests/engine/renderers/test_onnx.py)."""
    return int(np.abs(np.stack(found).astype(int) - np.stack(expected)).max()) <= 1


async def test_replicas_draw_what_one_renderer_draws(fleet: RayServing) -> None:
    """With and without an adapter, which is sent to them: the same pictures, from both of them."""
    here = Serving(lambda: open_renderer("onnx", 1))
    assert await asyncio.to_thread(lambda: fleet.canvas) == here.canvas
    asked = [(order(n, key), [sample(key)] if key else []) for n, key in enumerate(("", "tok", "blueprint"))]
    for requests, needed in asked:
        found = await fleet.render(requests, needed)
        assert alike(found, await here.render(requests, needed))
    await asyncio.gather(*(fleet.render(order(n)) for n in range(24)))
    assert len(await asyncio.to_thread(spread, fleet)) >= 2  # more, where one was killed before
    await asyncio.to_thread(here.close)


async def test_a_request_goes_where_its_adapter_is(fleet: RayServing) -> None:
    """Once Serve knows which replica has an adapter, ten requests in a row go there and nowhere else.

    A request that is quicker than that knowledge may bring the adapter to the other replica as well, so other
    pictures are drawn first; and where these were too quick, it is tried with another adapter.
    """
    for attempt in range(5):
        needed = sample("tok", f"sticky-{attempt}")
        loaded = await asyncio.to_thread(fleet.keep, needed)
        assert (loaded.modules, loaded.rank) == (54, 16)
        assert needed.key in fleet.loaded()
        await asyncio.gather(*(fleet.render(order(n)) for n in range(24)))
        before = await asyncio.to_thread(spread, fleet)
        for n in range(10):
            await fleet.render(order(n, needed.key, steps=1), [needed])
        after = await asyncio.to_thread(spread, fleet)
        fleet.release(needed.key)
        assert needed.key not in fleet.loaded()
        if max(after[name] - before.get(name, 0) for name in after) == 10:
            return
    pytest.fail("ten requests for an adapter were never drawn by one replica")


async def test_errors_come_back_as_what_they_are(fleet: RayServing, tmp_path: Path) -> None:
    """A broken adapter is AdapterUnusable for whoever asked, with its evidence."""
    (tmp_path / "torn.safetensors").write_bytes(b"nothing")
    torn = Needed("torn", tmp_path / "torn.safetensors")
    with pytest.raises(AdapterUnusable) as caught:
        await fleet.render(order(1, "torn"), [torn])
    assert caught.value.evidence["file"]
    with pytest.raises(AdapterUnusable):
        await asyncio.to_thread(fleet.keep, torn)


async def test_a_replica_that_is_killed_under_load_loses_nothing(fleet: RayServing) -> None:
    """SIGKILL while both draw: every accepted request is answered with its own picture."""
    here = Serving(lambda: open_renderer("onnx", 1))
    jobs = [
        asyncio.create_task(fleet.render(order(n, key, steps=8), [sample(key)] if key else []))
        for n, key in enumerate(("", "tok", "blueprint") * 8)
    ]
    await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    victim = await fleet._handle.process.remote()
    os.kill(victim, signal.SIGKILL)
    answers = await asyncio.gather(*jobs)
    page = await asyncio.to_thread(fleet.metrics)
    assert float(re.findall(r"^lorry_engine_requests_again_total (\S+)$", page.decode(), re.MULTILINE)[0]) > 0
    for n, key in enumerate(("", "tok", "blueprint") * 8):
        needed = [sample(key)] if key else []
        assert alike(answers[n], await here.render(order(n, key, steps=8), needed))
    again = await asyncio.gather(*(fleet.render(order(n)) for n in range(8)))
    assert len(again) == 8
    await asyncio.to_thread(here.close)
