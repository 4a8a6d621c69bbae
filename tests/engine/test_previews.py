"""Pictures while they are drawn: each step under a name, the newest only, and an end in any case."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lorry.engine.api_errors import Refusal
from lorry.engine.clock import ManualClock
from lorry.engine.inference.previews import Previews
from lorry.engine.renderers import open_renderer
from tests.engine.conftest import opened
from tests.engine.samples import Api

PIXELS = np.zeros((64, 64, 3), np.uint8)


async def gathered(previews: Previews, name: str, patience: float = 30) -> list[dict[str, Any]]:
    """Look until the end."""
    return [frame async for frame in previews.frames(name, patience)]


async def test_each_step_is_shown_and_then_the_end() -> None:
    """Whoever looks from the beginning sees steps in order, and that the picture is done."""
    previews = Previews()
    looking = asyncio.create_task(gathered(previews, "a" * 8))
    await asyncio.sleep(0)
    watch = previews.watch("a" * 8, 3)
    for done in (1, 2, 3):
        watch(0, done, lambda: PIXELS)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    previews.end("a" * 8)
    frames = await looking
    steps = [frame["step"] for frame in frames[:-1]]
    assert steps == sorted(steps)
    assert steps
    assert frames[-1] == {"type": "image_generation.completed"}
    assert Image.open(io.BytesIO(base64.b64decode(frames[0]["b64_json"]))).size == (64, 64)


async def test_what_nobody_looks_at_is_not_decoded() -> None:
    """Without anybody who looks, a step costs nothing; a look that fails costs no picture."""
    previews = Previews()
    watch = previews.watch("b" * 8, 2)

    def never() -> Any:
        raise AssertionError

    watch(0, 1, never)
    looking = asyncio.create_task(gathered(previews, "b" * 8))
    await asyncio.sleep(0)
    watch(0, 2, never)
    previews.end("b" * 8)
    assert await looking == [{"type": "image_generation.completed"}]


async def test_who_comes_late_hears_that_it_is_done() -> None:
    """After the end there is the end, at once; a name that nobody asked for is not found in the end."""
    previews = Previews()
    previews.watch("c" * 8, 1)
    previews.end("c" * 8)
    assert await gathered(previews, "c" * 8) == [{"type": "image_generation.completed"}]
    with pytest.raises(Refusal):
        await gathered(previews, "d" * 8, patience=0)


def test_a_picture_is_shown_over_http(home: Path, clock: ManualClock) -> None:
    """While a request is drawn, its `preview_id` gives pictures as server-sent events."""
    with opened(home, clock, renderer=lambda: open_renderer("onnx", 1)) as api:
        for attempt in range(20):  # whoever looks may come a moment too late for all steps
            frames = _shown(api, f"{attempt:024}")
            if len(frames) > 1:
                break
        assert frames[-1]["type"] == "image_generation.completed"
        assert all(frame["type"] == "image_generation.partial_image" for frame in frames[:-1])
        assert len(frames) > 1


def _shown(api: Api, name: str) -> list[dict[str, Any]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        drawn = beside.submit(
            lambda: api.pictures("lorry/flux-icons-64", steps=30, preview_id=name, output_format="png")
        )
        stream = api.client.get(f"/v1/images/previews/{name}", headers={"Authorization": "Bearer any"})
        assert drawn.result().status_code == 200
    lines = [line for line in stream.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]
