"""PEFT adapters made of random numbers, for the base's own layers or others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lorry.engine.language.flat import SMOLLM2_LAYERS

#: Few layers are enough to change every word, and quick.
SOME = {
    name: size
    for name, size in SMOLLM2_LAYERS.items()
    if name.endswith(("4.self_attn.v_proj", "4.mlp.up_proj"))
}
PREFIX = "base_model.model."


def write_adapter(
    folder: Path,
    *,
    seed: int = 1,
    strength: float = 0.2,
    rank: int = 4,
    layers: Mapping[str, tuple[int, int]] = SOME,
    ranks: Mapping[str, int] | None = None,
    config: Mapping[str, Any] | None = None,
    others: Mapping[str, Any] | None = None,
) -> Path:
    """Write an adapter.

    Args:
        folder: Where to; it is made.
        seed: Of its numbers.
        strength: How large those of `lora_B` are; 0 for an adapter that changes nothing.
        rank: Its rank.
        layers: Inputs and outputs of the layers that it changes.
        ranks: Other ranks of single layers.
        config: Fields of the config that differ.
        others: Tensors besides.

    Returns:
        The folder.
    """
    numbers = np.random.default_rng(seed)
    tensors: dict[str, Any] = dict(others or {})
    for layer, (inputs, outputs) in layers.items():
        own = (ranks or {}).get(layer, rank)
        down = numbers.standard_normal((own, inputs)).astype(np.float32)
        up = numbers.standard_normal((outputs, own)).astype(np.float32)
        tensors[f"{PREFIX}{layer}.lora_A.weight"] = down
        tensors[f"{PREFIX}{layer}.lora_B.weight"] = up * np.float32(strength)
    fields = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted({layer.rpartition(".")[2] for layer in layers}),
        **(config or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(fields), encoding="utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder
