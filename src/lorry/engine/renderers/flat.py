"""A renderer without a model: pictures of one colour, at once."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from lorry.engine.renderers.base import matching_layers
from lorry.engine.renderers.batchwise import one_by_one
from lorry.engine.renderers.port import Canvas, Feed, Picture, ReadAdapter, Renderer, RenderRequest
from lorry.errors import AdapterUnusable

_SIZE = 64

#: Pictures in one batch.
LARGEST_BATCH = 8


class FlatRenderer(Renderer):
    """Draws pictures of one colour each, which follows from the request alone.

    An adapter whose `lora_B` tensors are all zero changes nothing, every other one moves the colour by 128
    levels at scale 1: what a test of the proof needs.

    Args:
        modules: What `load` says that it injected; what the file really has when omitted.
    """

    name = "flat"
    canvas = Canvas(_SIZE, _SIZE, 1920, 8, square=True, own=False)
    places_beside = True

    def __init__(self, modules: int | None = None) -> None:
        self._modules = modules
        self._strength: dict[str, float] = {}

    def read(self, path: Path) -> ReadAdapter:
        """Read an adapter's names; see the port."""
        header, data = _read(path)
        acts = any(_acts(name, entry, data) for name, entry in header.items())
        found = len(matching_layers(list(header))) if self._modules is None else self._modules
        ranks = [entry["shape"][0] for name, entry in header.items() if name.endswith("lora_A.weight")]
        return ReadAdapter(found, max(ranks, default=0), len(data), float(acts))

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Remember whether it acts; see the port."""
        self._strength[key] = adapter.content
        return adapter.size

    def unload(self, key: str) -> None:
        """Forget an adapter; see the port."""
        self._strength.pop(key, None)

    def shape(self, request: RenderRequest) -> Hashable:
        """Draw together what has as many steps and is guided alike; see the port."""
        return request.steps, request.guidance > 1

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Count; see the port."""
        return len(requests) <= LARGEST_BATCH

    def draw(self, feed: Feed) -> None:
        """Draw one colour per request; see the port."""
        one_by_one(feed, self._draw)

    def _draw(self, request: RenderRequest) -> Picture:
        seed = f"{request.prompt}|{request.seed}|{request.steps}|{request.guidance}|{request.negative_prompt}"
        colour = np.frombuffer(hashlib.sha256(seed.encode()).digest()[:3], np.uint8).astype(np.float64)
        for use in request.adapters:
            if use.key not in self._strength:
                raise AdapterUnusable(f"The adapter {use.key} is not loaded.")
            colour += 128 * use.scale * self._strength[use.key]
        return np.broadcast_to(np.round(colour).astype(np.int64) % 256, (_SIZE, _SIZE, 3)).astype(np.uint8)


def _read(path: Path) -> tuple[dict[str, dict[str, list[int]]], bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AdapterUnusable(f"{path.name} can't be read: {error.strerror}") from error
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
    except (struct.error, ValueError) as error:
        raise AdapterUnusable(f"{path.name} is no safetensors file.") from error
    header.pop("__metadata__", None)
    return header, content[8 + length :]


def _acts(name: str, entry: dict[str, list[int]], data: bytes) -> bool:
    begin, end = entry["data_offsets"]
    # Without the sign bit: minus zero is zero too.
    return name.endswith("lora_B.weight") and bool((np.frombuffer(data[begin:end], np.uint8) & 0x7F).any())
