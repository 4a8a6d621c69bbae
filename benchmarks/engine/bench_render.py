"""How quickly the embedded renderer draws, against diffusers with the same weights.

    python benchmarks/engine/bench_render.py

The peer is diffusers' own `FluxPipeline` with the adapters of `examples/` through its own loader, as the
engine's renderer `diffusers` uses it (extra `diffusers`). Both draw the same requests (8 steps, guidance 2.5)
on the same cores; the rounds of both are interleaved and the best of each counts, so that a busy machine
disturbs both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lorry.engine.renderers import open_renderer
from lorry.engine.renderers.port import AdapterUse, Renderer, RenderRequest

ROUNDS = 5
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ("tok", "blueprint")


def main() -> None:
    """Open both, draw in turns, and print the table."""
    renderers = {name: opened(name) for name in ("diffusers", "onnx")}
    rows: dict[str, list[RenderRequest]] = {
        "1 picture, no adapter": [request(0, None)],
        "1 picture, 1 adapter": [request(0, "tok")],
        "8 pictures, no adapter": [request(i, None) for i in range(8)],
        "8 pictures, 2 adapters and none, mixed": [request(i, (*NAMES, None)[i % 3]) for i in range(8)],
        "8 pictures, 8 adapters": [request(i, f"tok-{i}") for i in range(8)],
    }
    print("| requests | diffusers | onnx | of diffusers |\n|---|---|---|---|")
    for label, requests in rows.items():
        best = interleaved({name: drawing(one, requests) for name, one in renderers.items()})
        ratio = best["onnx"] / best["diffusers"]
        print(f"| {label} | {best['diffusers']:.2f} s | {best['onnx']:.2f} s | {ratio:.2f}x |")


def opened(name: str) -> Renderer:
    """Open a renderer and load the sample adapters."""
    renderer = open_renderer(name)
    for adapter in NAMES:
        renderer.load(adapter, EXAMPLES / adapter / "pytorch_lora_weights.safetensors")
    for number in range(8):  # the same weights under another name are another adapter to both
        renderer.load(f"tok-{number}", EXAMPLES / "tok" / "pytorch_lora_weights.safetensors")
    return renderer


def request(seed: int, adapter: str | None) -> RenderRequest:
    """Make one request."""
    uses = (AdapterUse(adapter),) if adapter else ()
    return RenderRequest("a rocket on a purple background", seed, 8, 2.5, adapters=uses)


def drawing(renderer: Renderer, requests: list[RenderRequest]) -> Callable[[], object]:
    """Give the work of one row for one renderer."""
    return lambda: renderer.render(requests)


def interleaved(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Time each work in turns, after one round to warm up; seconds of the best round."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return {name: min(found) for name, found in times.items()}


if __name__ == "__main__":
    main()
