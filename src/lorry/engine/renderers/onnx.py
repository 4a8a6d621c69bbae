"""Draw with onnxruntime: no torch, adapters as inputs of the graph, a batch may mix them freely.

Every sample of a batch has its own prompt, seed, adapters, guidance and noise level, so pictures join and
leave between any two steps, whatever their number of steps is.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.adapter_file import AdapterFile, read_adapter, read_tensors
from lorry.engine.renderers.base import FOLDER, base_model
from lorry.engine.renderers.flow import join_guidance, not_loaded, sigmas, starting_noise, to_pixels
from lorry.engine.renderers.port import (
    Canvas,
    Feed,
    Picture,
    ReadAdapter,
    Renderer,
    RenderRequest,
    Ticket,
)
from lorry.engine.renderers.rows import PackedAdapter, Rows, Stack, pack
from lorry.engine.renderers.runtime import load_onnxruntime
from lorry.engine.renderers.text import TextEncoder
from lorry.errors import AdapterUnusable

Floats = npt.NDArray[np.float32]

#: Pictures in one batch: on two cores, more of them take as long again (docs/reference/engine.md).
LARGEST_BATCH = 8

# Samples x ranks fed at once: 8 guided pictures at rank 64 = 1,024 rows of a quarter megabyte.
_ROWS = 1024


class OnnxRenderer(Renderer):
    """The default renderer."""

    name = "onnx"
    places_beside = True

    def __init__(self, threads: int | None = None, folder: Path = FOLDER) -> None:
        """Open the graphs and feed them the weights.

        Args:
            threads: intra-op threads; None lets onnxruntime take all cores.
            folder: the base model's files.
        """
        self._base = base_model(folder)
        self.canvas = Canvas(self._base.size, self._base.size, 1920, 8, square=True, own=False)
        load_onnxruntime()
        with ThreadPoolExecutor(1) as beside:  # opening takes half a second, most of it outside of Python
            encoder = beside.submit(TextEncoder, self._base.vocabulary, threads or 0)
            self._transformer = _session(folder, "transformer", threads or 0)
            self._vae = _session(folder, "vae", threads or 0)
            self._encoder = encoder.result()
        self._adapters: dict[str, PackedAdapter] = {}
        self._ranks: dict[str, int] = {}
        self._rows = Rows(self._base)

    def read(self, path: Path) -> ReadAdapter:
        """Read an adapter file; see the port."""
        file = read_adapter(path, self._base)
        return ReadAdapter(len(file.layers), file.rank, file.size, file)

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Turn what was read into what is fed; see the port."""
        file: AdapterFile = adapter.content
        packed = pack(file)
        self._adapters[key], self._ranks[key] = packed, file.rank
        return packed.size

    def unload(self, key: str) -> None:
        """Forget an adapter; pictures that were begun with it go on with it. See the port."""
        self._adapters.pop(key, None)
        self._ranks.pop(key, None)

    def shape(self, request: RenderRequest) -> Hashable:  # noqa: ARG002 - all are alike
        """Say that everything can be drawn together; see the port."""
        return ()

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Hold a batch against the number of pictures and the memory for their adapters; see the port."""
        rows = sum(2 if request.guidance > 1 else 1 for request in requests)
        rank = max(sum(self._ranks.get(use.key, 0) for use in each.adapters) for each in requests)
        return len(requests) <= LARGEST_BATCH and rows * rank <= _ROWS

    def draw(self, feed: Feed) -> None:
        """Draw step by step, taking more between any two; see the port."""
        going: list[_Sample] = []
        while True:
            for ticket in feed.take([sample.ticket for sample in going]):
                try:
                    going.append(self._begun(ticket))
                except AdapterUnusable as error:
                    feed.fail(ticket, error)
            going = [sample for sample in going if not sample.ticket.abandoned()]
            if not going:
                return
            self._step(going)
            for sample in going:
                feed.step(sample.ticket, sample.done, lambda sample=sample: self._look(sample))  # type: ignore[misc]
            self._deliver([sample for sample in going if sample.ended], feed)
            going = [sample for sample in going if not sample.ended]

    def _begun(self, ticket: Ticket) -> _Sample:
        request, parts = ticket.request, []
        for use in request.adapters:
            adapter = self._adapters.get(use.key)
            if adapter is None:
                raise not_loaded(use.key)
            if use.scale and adapter.layers:
                parts.append((adapter, use.scale))
        prompts = [request.prompt, request.negative_prompt] if request.guidance > 1 else [request.prompt]
        return _Sample(ticket, Stack(tuple(parts)), *self._encoder.encode_all(prompts))

    def _step(self, samples: Sequence[_Sample]) -> None:
        """Take one step of each: those that are guided have two rows, the wanted and the unwanted."""
        owner = [sample for sample in samples for _ in range(len(sample.tokens))]
        feed = {
            "x": np.stack([sample.x for sample in owner]),
            "sigma": np.array([sample.levels[sample.done] for sample in owner], np.float32),
            "tokens": np.concatenate([sample.tokens for sample in samples]),
            "pooled": np.concatenate([sample.pooled for sample in samples]),
            **self._rows.feeds([sample.stack for sample in owner]),
        }
        velocity = self._transformer.run(None, feed)[0]
        row = 0
        for sample in samples:
            sample.move(velocity[row : row + len(sample.tokens)])
            row += len(sample.tokens)

    def _look(self, sample: _Sample) -> Picture:
        """Draw what the noise would leave if the last direction were the right one."""
        return self._decoded([sample.x - sample.levels[sample.done] * sample.velocity])[0]

    def _deliver(self, samples: Sequence[_Sample], feed: Feed) -> None:
        sound = [sample for sample in samples if np.isfinite(sample.x).all()]
        for sample in samples:
            if sample not in sound:
                feed.fail(sample.ticket, _black(sample.ticket.request))
        if sound:
            for sample, picture in zip(sound, self._decoded([each.x for each in sound]), strict=True):
                feed.finish(sample.ticket, picture)

    def _decoded(self, latents: Sequence[Floats]) -> list[Picture]:
        return list(to_pixels(self._vae.run(None, {"tokens": np.stack(latents)})[0]))


class _Sample:
    """A picture on its way.

    Args:
        ticket: What asks for it.
        stack: Its adapters.
        tokens: Its words, [1 or 2, 16, 384]: the wanted, and the unwanted where it is guided.
        pooled: The same in one row each.
    """

    def __init__(self, ticket: Ticket, stack: Stack, tokens: Floats, pooled: Floats) -> None:
        self.ticket, self.stack, self.tokens, self.pooled = ticket, stack, tokens, pooled
        self.x = starting_noise(ticket.request.seed)
        self.levels = sigmas(ticket.request.steps)
        self.velocity = np.zeros_like(self.x)
        self.done = 0
        self._guidance = np.float32(ticket.request.guidance)

    @property
    def ended(self) -> bool:
        return self.done == len(self.levels) - 1

    def move(self, velocity: Floats) -> None:
        """Take Euler's step along the velocity of its rows."""
        self.velocity = (
            join_guidance(velocity[0], velocity[1], self._guidance) if len(velocity) > 1 else velocity[0]
        )
        self.x = self.x + (self.levels[self.done + 1] - self.levels[self.done]) * self.velocity
        self.done += 1


def _black(request: RenderRequest) -> AdapterUnusable:
    keys = ", ".join(use.key for use in request.adapters)
    return AdapterUnusable(
        "The picture came out as NaN, which would be black: its adapters are too strong for the base.",
        fix="Lower the scale, or train the adapter again with a smaller learning rate.",
        evidence={"adapters": keys},
    )


def _session(folder: Path, part: str, threads: int) -> Any:
    """Open a weightless graph and feed it the tensors of the part's safetensors file."""
    onnxruntime = load_onnxruntime()

    weights, _ = read_tensors(folder / part / "diffusion_pytorch_model.safetensors")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Idle threads sleep: spinning halves the speed on cores that other processes use too.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    names = json.loads((folder / "onnx" / "feeds.json").read_text(encoding="utf-8"))[part]
    arrays = [weights[name[:-2]].T if name.endswith(".T") else weights[name] for name in names]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)) for array in arrays]
    options.add_external_initializers(names, values)
    graph = (folder / "onnx" / f"{part}.onnx").read_bytes()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
