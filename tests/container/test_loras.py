"""Where LoRAs may come from, and that a bad one is a typed error and never the worker's end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from lorry.container.cache import Cache
from lorry.container.loras import Loras, Places
from lorry.container.orders import LoraOrder
from lorry.errors import AdapterUnusable, OptionInvalid, SourceNotFound, WeightsRejected
from lorry.weights.origins.access import Access
from tests.container.conftest import EXAMPLES, TOK, answering
from tests.container.test_http import JOB

WorkerAt = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

WEIGHTS = TOK / "pytorch_lora_weights.safetensors"
DIGEST = "f9d7f13d63f2c85bcfc3a13545dabb1af5a8a51d309e864e10d2a5a8e6ded478"
PRIVATE = Access(allow_private=True)


def write_flux_lora(path: Path) -> Path:
    """Write a LoRA with the shapes of FLUX.1."""
    stem = "transformer.single_transformer_blocks.0.attn.to_q"
    tensors = {
        f"{stem}.lora_A.weight": np.ones((2, 3072), np.float32),
        f"{stem}.lora_B.weight": np.ones((3072, 2), np.float32),
    }
    save_file(tensors, path)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Write files that look like LoRAs and are none that this worker can use."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "page.safetensors").write_text("<!DOCTYPE html><html><body>Log in</body></html>")
    (folder / "pickle.safetensors").write_bytes(b"PK\x03\x04" + b"\x80\x02}q\x00." * 40)
    (folder / "cut.safetensors").write_bytes(WEIGHTS.read_bytes()[:5000])
    write_flux_lora(folder / "flux.safetensors")
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "code", "finding"),
    [
        ("page", "weights_rejected", "FILE_HTML"),
        ("pickle", "weights_rejected", None),
        ("cut", "weights_rejected", None),
        ("flux", "weights_rejected", "BASE_MISMATCH"),
        ("nothing", "source_not_found", None),
    ],
)
async def test_a_bad_lora_is_a_typed_error(
    worker_at: WorkerAt, bad: dict[str, Path], tmp_path: Path, name: str, code: str, finding: str | None
) -> None:
    """HTML, pickle, a cut file, another base's LoRA, no file: each a typed error, and the worker goes on."""
    places = Places(adapters=tmp_path / "bad")
    async with worker_at(places=places) as client:
        answer = await client.post("/generate", json=JOB | {"loras": [{"path": name}]})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code)
        if finding:
            assert finding in [row["code"] for row in error["evidence"]["findings"]]
        assert error["message"].endswith(".")
        assert error["fix"]
        assert len(json.dumps(error)) < 4000  # a queue's answer, not a report
        assert (await client.post("/generate", json=JOB)).status_code == 200


async def test_another_base_is_refused_with_the_findings_sentence(
    worker_at: WorkerAt, bad: dict[str, Path], tmp_path: Path
) -> None:
    """The sentence names both bases, as `lorry check` does."""
    async with worker_at(places=Places(adapters=tmp_path / "bad")) as client:
        answer = await client.post("/generate", json=JOB | {"loras": [{"path": "flux"}]})
    message = answer.json()["error"]["message"]
    assert message.startswith("flux is not used: The file was trained for FLUX.1")
    assert "lorry/flux-icons-64 was named" in message


@pytest.fixture
async def files(bad: dict[str, Path]) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve files on loopback; gives the address and what was asked for."""
    asked: list[str] = []

    async def weights(request: Any) -> Response:
        asked.append(str(request.url.path))
        return FileResponse(WEIGHTS)

    async def page(request: Any) -> Response:
        return HTMLResponse("<!DOCTYPE html><html>Log in</html>")

    async def pickle(request: Any) -> Response:
        return FileResponse(bad["pickle"])

    routes = [Route("/tok.safetensors", weights), Route("/page", page), Route("/pickle.safetensors", pickle)]
    async with answering(Starlette(routes=routes)) as url:
        yield url, asked


async def test_an_address_is_fetched_once_for_its_digest(
    worker_at: WorkerAt, files: tuple[str, list[str]]
) -> None:
    """A LoRA comes from its address, with keys in it hidden; with its digest it is fetched only once."""
    url, asked = files
    lora = {"path": f"{url}/tok.safetensors?signature=secret", "digest": DIGEST}
    async with worker_at(access=PRIVATE) as client:
        for _ in range(2):
            answer = await client.post("/generate", json=JOB | {"loras": [lora]})
            assert answer.status_code == 200, answer.text
    assert asked == ["/tok.safetensors"]
    assert answer.json()["loras"][0]["path"] == f"{url}/tok.safetensors"


@pytest.mark.parametrize("name", ["page", "pickle.safetensors", "missing"])
async def test_what_an_address_gives_is_checked(
    worker_at: WorkerAt, files: tuple[str, list[str]], name: str
) -> None:
    """A page, a pickle and a 404 behind an address are typed errors."""
    url, _ = files
    async with worker_at(access=PRIVATE) as client:
        answer = await client.post("/generate", json=JOB | {"loras": [{"path": f"{url}/{name}?key=secret"}]})
        assert (await client.get("/health")).status_code == 200
    assert answer.json()["error"]["code"] == "weights_rejected"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://127.0.0.1:9/x.safetensors", "weights_rejected"),
        ("https://169.254.169.254/latest/meta-data", "weights_rejected"),
        ("https://[::1]/x.safetensors", "weights_rejected"),
        ("http://example.com/x.safetensors", "option_invalid"),
        ("file:///etc/passwd", "option_invalid"),
        ("https://user:secret@example.com/x", "option_invalid"),
    ],
)
async def test_private_addresses_are_not_asked(worker_at: WorkerAt, address: str, code: str) -> None:
    """This machine, a cloud's keys, plain http and other schemes are refused before anything is sent."""
    async with worker_at() as client:
        answer = await client.post("/generate", json=JOB | {"loras": [{"path": address}]})
    error = answer.json()["error"]
    assert error["code"] == code
    assert "secret" not in answer.text
    if code == "weights_rejected":
        assert error["evidence"]["findings"][0]["code"] == "REMOTE_ADDRESS"


def loras(tmp_path: Path, places: Places) -> Loras:
    """Open what brings LoRAs for the embedded base."""
    return Loras("lorry/flux-icons-64", places, Cache(tmp_path / "cache"), Access())


def test_a_volume_is_spoken_of_by_its_mount(tmp_path: Path) -> None:
    """A file, a folder and an archive in a mounted volume are found by the path inside the container."""
    volume = tmp_path / "somewhere"
    shutil.copytree(TOK, volume / "tok")
    shutil.make_archive(str(volume / "packed"), "zip", TOK)
    found = loras(tmp_path, Places(mounts={"/volumes/loras": volume}))
    paths = ("tok/pytorch_lora_weights.safetensors", "tok", "packed.zip")
    for path in paths:
        ready = found.ready(LoraOrder(f"/volumes/loras/{path}"))
        assert (ready.digest, ready.layers) == (DIGEST, 54)
        assert ready.file.is_file()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/volumes/loras/../../etc/passwd", "../tok", "/volumes/loras/out", "tok\0", "out"]
)
def test_nothing_outside_of_the_mounts_is_read(tmp_path: Path, path: str) -> None:
    """A path that leaves what was mounted, by dots or by a link, names nothing."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to(WEIGHTS)
    places = Places(adapters=volume, mounts={"/volumes/loras": volume})
    with pytest.raises(SourceNotFound, match="There is no LoRA"):
        loras(tmp_path, places).ready(LoraOrder(path))


def test_a_digest_that_does_not_match_is_refused(tmp_path: Path) -> None:
    """A job that means other bytes than those at the path is told so, and nothing is drawn with them."""
    with pytest.raises(AdapterUnusable, match="its SHA-256 differs"):
        loras(tmp_path, Places(adapters=EXAMPLES)).ready(LoraOrder("tok", digest="0" * 64))


def test_a_file_that_changed_is_checked_again(tmp_path: Path) -> None:
    """What passed once does not vouch for other bytes at the same path."""
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "x.safetensors"
    shutil.copyfile(WEIGHTS, file)
    found = loras(tmp_path, Places(adapters=tmp_path / "a"))
    assert found.ready(LoraOrder("x")).digest == DIGEST
    write_flux_lora(file)
    with pytest.raises(WeightsRejected):
        found.ready(LoraOrder("x"))


def test_a_text_lora_is_not_for_pictures(tmp_path: Path) -> None:
    """A LoRA for a language model is refused as what it is."""
    stem = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{stem}.lora_A.weight": np.ones((2, 576), np.float32),
        f"{stem}.lora_B.weight": np.ones((576, 2), np.float32),
    }
    save_file(tensors, tmp_path / "text.safetensors")
    with pytest.raises(WeightsRejected):
        loras(tmp_path, Places(adapters=tmp_path)).ready(LoraOrder("text"))


def test_addresses_without_encryption_are_refused(tmp_path: Path) -> None:
    """Plain http outside of private networks could be exchanged on the way."""
    with pytest.raises(OptionInvalid, match="not encrypted"):
        loras(tmp_path, Places()).ready(LoraOrder("http://example.com/x.safetensors"))


def test_the_cache_keeps_the_newest_within_its_room(tmp_path: Path) -> None:
    """The least recently used file leaves when the room is used up; the newest stays however large it is."""
    cache = Cache(tmp_path / "cache", room=25)
    for number, name in enumerate("abc"):
        (tmp_path / name).write_bytes(b"x" * 10)
        kept = cache.keep(name * 64, tmp_path / name)
        os.utime(kept, ns=(number, number))
        if name == "b":
            os.utime(tmp_path / "cache" / ("a" * 64 + ".safetensors"), ns=(10, 10))
    assert [cache.find(name * 64) is not None for name in "abc"] == [True, False, True]
    (tmp_path / "large").write_bytes(b"x" * 100)
    cache.keep("d" * 64, tmp_path / "large")
    assert [cache.find(name * 64) is not None for name in "acd"] == [False, False, True]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".safetensors"]
