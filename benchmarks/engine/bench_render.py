"""How quickly the embedded renderer draws: mixed batches, many adapters, the first picture.

    python benchmarks/engine/bench_render.py

The peer is diffusers' own `FluxPipeline` with `set_adapters` for each request, one after the other, as the
engine's renderer `diffusers` uses it (extra `diffusers`): the same weights, 8 steps, guidance 2.5, the same
cores. Rounds of both are interleaved and the best of each counts, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np

from lorry.cli.engine_process import engine_process
from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.room import Room
from lorry.engine.drawing.serving import Serving
from lorry.engine.renderers import open_renderer
from lorry.engine.renderers.port import AdapterUse, Renderer, RenderRequest

ROUNDS = 5
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TOK = EXAMPLES / "tok" / "pytorch_lora_weights.safetensors"
NAMES = ("tok", "blueprint")

#: Adapters of the Zipf load, those that memory holds, and the load: picture for the k-th adapter ~ 1 / k.
MANY, HELD, PICTURES = 256, 32, 128
CALLERS = 32


def main() -> None:
    """Measure everything and print the tables."""
    both()
    ready()
    first_picture()
    asyncio.run(crowd())


def both() -> None:
    """Draw with both renderers in turns."""
    renderers = {name: opened(name) for name in ("diffusers", "onnx")}
    rows: dict[str, list[RenderRequest]] = {
        "1 picture, no adapter": [request(0, None)],
        "1 picture, 1 adapter": [request(0, "tok")],
        "8 pictures, no adapter": [request(i, None) for i in range(8)],
        "8 pictures, 2 adapters and none, mixed": [request(i, (*NAMES, None)[i % 3]) for i in range(8)],
        "8 pictures, 8 adapters": [request(i, f"tok-{i}") for i in range(8)],
    }
    found: dict[str, dict[str, float]] = {}
    print("| requests | diffusers, one after the other | the engine | times as quick |\n|---|---|---|---|")
    for label, requests in rows.items():
        best = found[label] = interleaved({name: drawing(one, requests) for name, one in renderers.items()})
        ratio = best["diffusers"] / best["onnx"]
        print(f"| {label} | {best['diffusers']:.2f} s | {best['onnx']:.2f} s | {ratio:.2f} |")
    plain, mixed = (found[f"8 pictures, {which}"]["onnx"] for which in ("no adapter", "8 adapters"))
    print(f"\n8 adapters take {mixed / plain:.2f} of the time of the same batch without any.\n", flush=True)


def opened(name: str) -> Renderer:
    """Open a renderer and load the sample adapters."""
    renderer = open_renderer(name)
    for adapter in NAMES:
        renderer.load(adapter, EXAMPLES / adapter / "pytorch_lora_weights.safetensors")
    for number in range(8):  # the same weights under another name are another adapter to both
        renderer.load(f"tok-{number}", TOK)
    return renderer


def request(seed: int, adapter: str | None, steps: int = 8) -> RenderRequest:
    """Make one request."""
    uses = (AdapterUse(adapter),) if adapter else ()
    return RenderRequest("a rocket on a purple background", seed, steps, 2.5, adapters=uses)


def drawing(renderer: Renderer, requests: list[RenderRequest]) -> Callable[[], object]:
    """Give the work of one row for one renderer."""
    return lambda: renderer.render(requests)


def interleaved(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Time each work in turns, after one round to warm up; seconds of the best round."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return {name: min(found) for name, found in times.items()}


def ready() -> None:
    """Say how long an adapter takes from its file until it can be drawn with."""
    ours, theirs = open_renderer("onnx"), open_renderer("diffusers")
    best = interleaved({"onnx": lambda: ours.load("a", TOK), "diffusers": lambda: theirs.load("a", TOK)}, 9)
    print("| an adapter of rank 16 (1.4 MB) from disk, ready | |\n|---|---|")
    print(f"| diffusers, `load_lora_weights` | {best['diffusers'] * 1000:.0f} ms |")
    print(f"| the engine | {best['onnx'] * 1000:.1f} ms |\n", flush=True)


def first_picture() -> None:
    """Say how long a new process takes to its first picture, with an adapter."""
    code = (
        "from pathlib import Path\n"
        "from lorry.engine.renderers import AdapterUse, RenderRequest, open_renderer\n"
        "renderer = open_renderer({name!r})\n"
        "renderer.load('tok', Path({path!r}))\n"
        "renderer.render([RenderRequest('TOK', 1, 8, 2.5, adapters=(AdapterUse('tok'),))])\n"
    )
    works = {
        name: [sys.executable, "-c", code.format(name=name, path=str(TOK))] for name in ("diffusers", "onnx")
    }
    best = interleaved({name: process(command) for name, command in works.items()}, 3)
    print("| from the process's start to its first picture with an adapter | |\n|---|---|")
    for name, seconds in best.items():
        print(f"| {'the engine' if name == 'onnx' else name} | {seconds:.2f} s |")
    seconds = min(over_http() for _ in range(4))
    print(f"| `lorry engine`, over HTTP, without one | {seconds:.2f} s |\n", flush=True)


def over_http() -> float:
    """Start the engine in an empty home and have it draw a picture; seconds until that is there."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as home, engine_process(Path(home), Path(home) / "log") as engine:
        body = {"model": "lorry/flux-icons-64", "prompt": "a rocket", "response_format": "base64"}
        address = f"{engine.url}/v1/images/generations"
        httpx.post(address, json=body, headers={"Authorization": "Bearer any"}).raise_for_status()
        return time.perf_counter() - began


def process(command: list[str]) -> Callable[[], object]:
    """Give the work of running a program to its end."""
    return lambda: subprocess.run(command, check=True, capture_output=True)


async def crowd() -> None:
    """Draw for very many adapters, with room for all of them in memory and for fewer."""
    with tempfile.TemporaryDirectory() as folder:
        needed = copies(Path(folder))
        load = zipf()
        device, host = sizes()
        rooms = {
            f"{MANY} on the device": Room(MANY * device, MANY * host),
            f"{HELD} on the device, {MANY} in the host": Room(HELD * device, MANY * host),
            f"{HELD} on the device, {HELD} in the host, the rest on disk": Room(HELD * device, HELD * host),
            "16 on the device, 16 in the host": Room(16 * device, 16 * host),
            "8 on the device, none in the host": Room(8 * device, 1),
        }
        servings = {label: Serving(lambda: open_renderer("onnx"), room) for label, room in rooms.items()}
        for serving in servings.values():
            await pace(serving, needed, load[:CALLERS])
        rates: dict[str, list[float]] = {label: [] for label in servings}
        for turn in range(3):
            for label, serving in servings.items():
                rates[label].append(await pace(serving, needed, load[turn * PICTURES :][:PICTURES]))
        print(
            f"| {MANY} adapters, Zipf load, {CALLERS} callers, 4 steps | pictures/s | of all resident |\n"
            "|---|---|---|"
        )
        whole = max(rates[f"{MANY} on the device"])
        for label, found in rates.items():
            print(f"| {label} | {max(found):.1f} | {max(found) / whole:.0%} |", flush=True)
        for serving in servings.values():
            await asyncio.to_thread(serving.close)


def copies(folder: Path) -> list[Needed]:
    """Write one file for each adapter."""
    found = []
    for number in range(MANY):
        path = folder / f"{number}.safetensors"
        path.write_bytes(TOK.read_bytes())
        found.append(Needed(f"a{number}", path))
    return found


def zipf() -> Sequence[int]:
    """Draw which adapter each picture is for."""
    weights = 1 / np.arange(1, MANY + 1)
    random = np.random.default_rng(0)
    return [int(each) for each in random.choice(MANY, 3 * PICTURES, p=weights / weights.sum())]


def sizes() -> tuple[int, int]:
    """Say how many bytes an adapter takes on the device and in the host's memory."""
    renderer = open_renderer("onnx")
    read = renderer.read(TOK)
    return renderer.place("a", read), read.size


async def pace(serving: Serving, needed: Sequence[Needed], load: Sequence[int]) -> float:
    """Draw for so many callers at once; give pictures in a second."""
    waiting = iter(enumerate(load))

    async def caller() -> None:
        for seed, number in waiting:
            each = needed[number]
            await serving.render([request(seed, each.key, steps=4)], [each])

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(load) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
