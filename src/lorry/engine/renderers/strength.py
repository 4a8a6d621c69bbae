"""The strength that a LoRA's training meant, as diffusers and peft read it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def adapter_config(text: str | None, prefix: str) -> dict[str, Any] | None:
    """Read the LoraConfig that diffusers writes into a file's header.

    Args:
        text: The header's ``lora_adapter_metadata``.
        prefix: Of the part of the pipeline whose config is wanted, such as ``transformer.``.

    Raises:
        ValueError: It is no JSON.
    """
    if text is None:
        return None
    fields = json.loads(text)
    config = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
    return config or None


def stated_rank(config: Mapping[str, Any], layer: str, otherwise: int) -> int:
    """Give the rank that a config states for a layer."""
    return int(_patterned(config, "rank_pattern", layer, config.get("r", otherwise)))


def strength_of(config: Mapping[str, Any], layer: str, rank: int) -> float:
    """Give the factor on B A: alpha / rank, or alpha / sqrt(rank) for rslora (arXiv:2312.03732)."""
    alpha = float(_patterned(config, "alpha_pattern", layer, config.get("lora_alpha", rank)))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _patterned(config: Mapping[str, Any], field: str, layer: str, otherwise: Any) -> Any:
    """Look a layer up in a LoraConfig pattern: keys are regular expressions on the end of its name (peft)."""
    for pattern, value in (config.get(field) or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return value
    return otherwise
