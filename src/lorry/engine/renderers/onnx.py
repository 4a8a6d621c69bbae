"""Draw with onnxruntime: no torch, adapters as an input of the graph, a batch may mix them freely."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.adapter_file import PackedAdapter, read_adapter, read_tensors
from lorry.engine.renderers.base import FOLDER, BaseModel, base_model
from lorry.engine.renderers.flow import join_guidance, not_loaded, sigmas, starting_noise, to_pixels
from lorry.engine.renderers.port import (
    Abandoned,
    DrawingAbandoned,
    LoadedAdapter,
    Picture,
    RenderRequest,
    never,
)
from lorry.engine.renderers.runtime import load_onnxruntime
from lorry.engine.renderers.text import TextEncoder

Floats = npt.NDArray[np.float32]

# Samples x ranks fed at once: 8 guided pictures at rank 64 = 1,024 rows of a quarter megabyte.
_ROWS = 1024
_LARGEST_BATCH = 8


class OnnxRenderer:
    """The default renderer."""

    name = "onnx"

    def __init__(self, threads: int | None = None, folder: Path = FOLDER) -> None:
        """Open the graphs and feed them the weights.

        Args:
            threads: intra-op threads; None lets onnxruntime take all cores.
            folder: the base model's files.
        """
        self._base = base_model(folder)
        self._encoder = TextEncoder(self._base.vocabulary, threads or 0)
        self._transformer = _session(folder, "transformer", threads or 0)
        self._vae = _session(folder, "vae", threads or 0)
        self._adapters: dict[str, PackedAdapter] = {}

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Read an adapter file and keep it under a key; see the port."""
        adapter = read_adapter(path, self._base)
        self._adapters[key] = adapter
        return LoadedAdapter(key, adapter.modules, adapter.rank)

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; an unknown key is no error."""
        self._adapters.pop(key, None)

    def render(self, requests: Sequence[RenderRequest], abandoned: Abandoned = never) -> list[Picture]:
        """Draw one picture per request, alike requests in one batch; see the port."""
        packed = [self._packed(request) for request in requests]
        pictures: dict[int, Picture] = {}
        for batch in _batches(requests, [adapter.shape[0] for adapter in packed]):
            drawn = self._draw([requests[i] for i in batch], [packed[i] for i in batch], abandoned)
            pictures.update(zip(batch, drawn, strict=True))
        return [pictures[i] for i in range(len(requests))]

    def _packed(self, request: RenderRequest) -> Floats:
        """Stack a request's adapters along the rank, each one's scale in its B: float32 [rank, width]."""
        parts = []
        for use in request.adapters:
            adapter = self._adapters.get(use.key)
            if adapter is None:
                raise not_loaded(use.key)
            if use.scale and adapter.rank:
                parts.append(_scaled(adapter.values, use.scale, self._base))
        return np.concatenate(parts) if parts else np.zeros((1, self._base.packed_width), np.float32)

    def _draw(
        self, requests: list[RenderRequest], packed: list[Floats], abandoned: Abandoned
    ) -> list[Picture]:
        """Draw one batch; all its requests have the same steps, and all are guided or none is."""
        guided = requests[0].guidance > 1
        lora = np.zeros((len(packed), max(map(len, packed)), self._base.packed_width), np.float32)
        for row, adapter in zip(lora, packed, strict=True):
            row[: len(adapter)] = adapter
        prompts = [request.prompt for request in requests]
        if guided:
            prompts += [request.negative_prompt for request in requests]
            lora = np.concatenate([lora, lora])
        tokens, pooled = self._encoder.encode_all(prompts)
        feed = {"tokens": tokens, "pooled": pooled, "lora": lora}
        x = np.stack([starting_noise(request.seed) for request in requests])
        strength = np.array([request.guidance for request in requests], np.float32)[:, None, None]
        for now, then in itertools.pairwise(sigmas(requests[0].steps)):
            if abandoned():
                raise DrawingAbandoned
            feed["x"] = np.concatenate([x, x]) if guided else x
            feed["sigma"] = np.full(len(prompts), now, np.float32)
            velocity = self._transformer.run(None, feed)[0]
            if guided:
                velocity = join_guidance(velocity[: len(x)], velocity[len(x) :], strength)
            x = x + (then - now) * velocity
        return list(to_pixels(self._vae.run(None, {"tokens": x})[0]))


def _scaled(values: Floats, scale: float, base: BaseModel) -> Floats:
    """Multiply the B parts of a packed adapter, and only these, by a scale."""
    if scale == 1:
        return values
    scaled = values.copy()
    for layer in base.layers.values():
        middle = layer.offset + layer.inputs
        scaled[:, middle : middle + layer.outputs] *= scale
    return scaled


def _batches(requests: Sequence[RenderRequest], ranks: Sequence[int]) -> Iterator[list[int]]:
    """Group requests that can share a batch, in order, within the memory bound."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault((request.steps, request.guidance > 1), []).append(index)
    for (_, guided), members in groups.items():
        batch: list[int] = []
        for index in members:
            rank = max(ranks[i] for i in [*batch, index])
            full = (len(batch) + 1) * rank * (2 if guided else 1) > _ROWS
            if batch and (full or len(batch) == _LARGEST_BATCH):
                yield batch
                batch = []
            batch.append(index)
        yield batch


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
