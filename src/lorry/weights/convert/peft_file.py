"""Write adapter_config.json from the weights: ranks, strengths and layers as they are, the rest as it was.

The fields: peft 0.21.2, `LoraConfig`; what servers demand of them: LoRA formats dossier, section 1.5.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorry.weights.adapter.strength import PEFT_FIELDS


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as the configuration states it."""

    name: str
    rank: int
    scale: float


def adapter_config(layers: Sequence[Layer], known: Mapping[str, Any], base: str | None, *, text: bool) -> str:
    """Write the configuration of an adapter.

    Args:
        layers: Its layers.
        known: Fields of the configuration that the source had; empty where it had none.
        base: The base model to name; `None` keeps what is there.
        text: Whether the adapter is for a language model.
    """
    fields: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if text else None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "bias": "none",
        "lora_dropout": 0.0,
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
    }
    fields |= {name: value for name, value in known.items() if name in PEFT_FIELDS}
    fields["peft_type"] = "LORA"
    if base is not None:
        fields["base_model_name_or_path"] = base
    root = fields["use_rslora"] is True
    alphas = {layer.name: _alpha(layer, root) for layer in layers}
    rank, ranks = _common({layer.name: layer.rank for layer in layers})
    alpha, others = _common(alphas)
    fields |= {"r": rank, "lora_alpha": alpha, "rank_pattern": ranks, "alpha_pattern": others}
    fields["target_modules"] = _targets([layer.name for layer in layers], known.get("target_modules"))
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def _alpha(layer: Layer, root: bool) -> int | float:
    alpha = layer.scale * (math.sqrt(layer.rank) if root else layer.rank)
    near = round(alpha)
    return near if math.isclose(alpha, near, rel_tol=1e-12) else alpha


def _common(values: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Give the most frequent value, and the others by name."""
    most = Counter(values.values()).most_common(1)[0][0]
    return most, {name: value for name, value in values.items() if value != most}


def _targets(names: Sequence[str], known: object) -> object:
    """Keep the list of layers where it covers them all; else name each by its last word."""
    if isinstance(known, list) and all(isinstance(word, str) for word in known):
        covered = all(any(name == word or name.endswith(f".{word}") for word in known) for name in names)
        if covered:
            return known
    return sorted({_last(name) for name in names})


def _last(name: str) -> str:
    words = name.split(".")
    return ".".join(words[-2:]) if words[-1].isdecimal() else words[-1]
