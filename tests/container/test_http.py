"""The worker over real HTTP, with the embedded base and a LoRA that was trained on it."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

WorkerAt = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

JOB: dict[str, Any] = {"prompt": "a photo of TOK", "seed": 3, "steps": 2, "guidance": 1}


def pixels(row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Decode one picture of an answer."""
    data = base64.b64decode(row["b64_json"])
    assert hashlib.sha256(data).hexdigest() == row["sha256"]
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


async def drawn(client: httpx.AsyncClient, **more: Any) -> list[npt.NDArray[np.float64]]:
    """Have a job drawn."""
    answer = await client.post("/generate", json=JOB | more)
    assert answer.status_code == 200, answer.text
    return [pixels(row) for row in answer.json()["images"]]


async def test_a_lora_acts_and_at_scale_zero_does_not(worker_at: WorkerAt) -> None:
    """The same seed gives another picture with the LoRA at 1, and the base's own with the LoRA at 0."""
    async with worker_at() as client:
        (without,) = await drawn(client)
        (zero,) = await drawn(client, loras=[{"path": "tok", "scale": 0}])
        (one,) = await drawn(client, loras=[{"path": "tok", "scale": 1}])
    assert np.array_equal(without, zero)
    assert np.abs(one - without).mean() > 5  # of 255 levels; a LoRA that does nothing gives 0


async def test_an_answer_says_what_was_used(worker_at: WorkerAt) -> None:
    """Base, LoRA with its digest and the layers that it changed, seeds and formats stand in the outputs."""
    async with worker_at() as client:
        body = JOB | {"n": 2, "size": 128, "output_format": "jpeg", "loras": [{"path": "tok", "scale": 0.5}]}
        outputs = (await client.post("/generate", json=body)).json()
    (used,) = outputs["loras"]
    assert (used["path"], used["scale"], used["layers"]) == ("tok", 0.5, 54)
    assert used["digest"].startswith("f9d7f13d63f2")
    assert outputs["base"] == "lorry/flux-icons-64"
    assert [(row["index"], row["seed"], row["format"]) for row in outputs["images"]] == [
        (0, 3, "jpeg"),
        (1, 4, "jpeg"),
    ]
    assert pixels(outputs["images"][0]).shape == (128, 128, 3)
    assert set(outputs["timings"]) == {"loras", "inference"}


async def test_the_digest_alone_brings_back_what_was_loaded(worker_at: WorkerAt) -> None:
    """A job that names the digest of a LoRA that passed its check needs no file at the path any more."""
    async with worker_at() as client:
        (before,) = await drawn(client, loras=[{"path": "tok"}])
        digest = "f9d7f13d63f2c85bcfc3a13545dabb1af5a8a51d309e864e10d2a5a8e6ded478"
        (again,) = await drawn(client, loras=[{"path": "https://gone.invalid/x", "digest": digest}])
    assert np.array_equal(before, again)


async def test_the_worker_speaks_the_contract(worker_at: WorkerAt) -> None:
    """Health and metrics answer as Together's own workers do; a body that is no JSON is refused."""
    async with worker_at() as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": "healthy"})
        assert (await client.get("/metrics")).text == "requests_inflight 0.0\n"
        refused = await client.post("/generate", content=b"{")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "option_invalid")
        assert (await client.get("/generate")).status_code == 405
        assert (await client.post("/generate", json=[])).json()["error"]["code"] == "option_invalid"


async def test_squares_only(worker_at: WorkerAt) -> None:
    """What the base can't draw is a typed error, not a stretched picture."""
    async with worker_at() as client:
        answer = await client.post("/generate", json=JOB | {"width": 64, "height": 128})
    assert answer.status_code == 400
    assert "64x128" in answer.json()["error"]["message"]


async def test_pictures_can_be_stored_instead(worker_at: WorkerAt) -> None:
    """With storage a job gets addresses; without, it is told that there is none."""
    stored: dict[str, bytes] = {}

    def store(name: str, data: bytes) -> str:
        stored[name] = data
        return f"https://storage.test/{name}"

    async with worker_at(store=store) as client:
        (row,) = (await client.post("/generate", json=JOB | {"response_format": "url"})).json()["images"]
    assert row["url"] == f"https://storage.test/{next(iter(stored))}"
    assert hashlib.sha256(next(iter(stored.values()))).hexdigest() == row["sha256"]
    async with worker_at() as client:
        refused = await client.post("/generate", json=JOB | {"response_format": "url"})
    assert refused.json()["error"]["code"] == "option_invalid"
