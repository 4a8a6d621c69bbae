"""Synthetic adapter files in the diffusers layout, and the two samples that ship."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save, save_file

from lorry.engine.renderers import base_model

Tensors = dict[str, npt.NDArray[Any]]

EXAMPLES = Path(__file__).parents[3] / "examples"
SAMPLES = {name: EXAMPLES / name / "pytorch_lora_weights.safetensors" for name in ("tok", "blueprint")}
SINGLE = "single_transformer_blocks.0.attn.to_q"
BLOCKS = tuple(name for name in base_model().layers if "transformer_blocks" in name and "norm" not in name)


def lora(layers: tuple[str, ...] = BLOCKS, rank: int = 4, seed: int = 0, size: float = 0.1) -> Tensors:
    """Draw random A and B, float32, for some layers of the base; large enough to change every picture."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name in layers:
        layer = base_model().layers[name]
        stem = f"transformer.{name}"
        tensors[f"{stem}.lora_A.weight"] = _normal(rng, (rank, layer.inputs), size)
        tensors[f"{stem}.lora_B.weight"] = _normal(rng, (layer.outputs, rank), size)
    return tensors


def write(
    path: Path, tensors: Mapping[str, npt.NDArray[Any]], config: Mapping[str, Any] | None = None
) -> Path:
    """Save tensors; a config becomes the header's ``lora_adapter_metadata``."""
    metadata = {"format": "pt"}
    if config is not None:
        fields = {f"transformer.{name}": value for name, value in config.items()}
        metadata["lora_adapter_metadata"] = json.dumps(fields)
    save_file(dict(tensors), path, metadata)
    return path


def write_bfloat16(path: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> Path:
    """Save float32 tensors cut to bfloat16, which numpy does not have: the header is corrected by hand."""
    halves = {name: (values.view(np.uint32) >> 16).astype(np.uint16) for name, values in tensors.items()}
    content = save(halves)
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b'"U16"', b'"BF16"')
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    return path


def _normal(rng: np.random.Generator, shape: tuple[int, int], size: float) -> npt.NDArray[np.float32]:
    return (rng.standard_normal(shape) * size).astype(np.float32)
