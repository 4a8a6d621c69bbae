"""Adapters for text models as headers: shapes alone, as nothing here looks at numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from lorry.weights.adapter.modules import read_adapter
from lorry.weights.adapter.peft_config import PeftConfig, read_config
from lorry.weights.adapter.text import PREFIX, TextAdapter, straightened
from lorry.weights.files.header import Header, Tensor

Shapes = Mapping[str, tuple[int, ...]]

#: The seven projections of a block of Llama 3.2 1B, written down here and not read from its table.
LLAMA = (
    ("self_attn.q_proj", 2048, 2048), ("self_attn.k_proj", 2048, 512), ("self_attn.v_proj", 2048, 512),
    ("self_attn.o_proj", 2048, 2048), ("mlp.gate_proj", 2048, 8192), ("mlp.up_proj", 2048, 8192),
    ("mlp.down_proj", 8192, 2048),
)  # fmt: skip
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def llama(blocks: int = 16, rank: int = 4) -> dict[str, tuple[int, ...]]:
    """Give the shapes of a sound adapter on all projections of Llama 3.2 1B."""
    layers = [(f"model.layers.{n}.{name}", i, o) for n in range(blocks) for name, i, o in LLAMA]
    return pairs(layers, rank)


def pairs(layers: Iterable[tuple[str, int, int]], rank: int = 4) -> dict[str, tuple[int, ...]]:
    """Give the shapes of both matrices of layers, by the names that PEFT saves."""
    made: dict[str, tuple[int, ...]] = {}
    for name, inputs, outputs in layers:
        made[f"{PREFIX}{name}.lora_A.weight"] = rank, inputs
        made[f"{PREFIX}{name}.lora_B.weight"] = outputs, rank
    return made


def header(shapes: Shapes, dtype: str = "F32") -> Header:
    """Lay out tensors of these shapes."""
    tensors, end = [], 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        tensors.append(Tensor(name, dtype, shape, begin, end))
    return Header(tuple(tensors), {}, 8)


def text(shapes: Shapes) -> TextAdapter:
    """Read and straighten an adapter of these shapes."""
    return straightened(read_adapter(header(shapes)))


def fields(**others: Any) -> dict[str, Any]:
    """Give the fields of a sound adapter_config.json; `None` leaves one out."""
    made = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "meta-llama/Llama-3.2-1B",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": PROJECTIONS,
        **others,
    }
    return {name: value for name, value in made.items() if value is not None}


def config(**others: Any) -> PeftConfig:
    """Read an adapter_config.json with these fields."""
    return read_config(json.dumps(fields(**others)))
