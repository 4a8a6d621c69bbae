"""Load text adapters with the real PEFT, into full-shape models that have no weights (torch's meta device).

What is counted is what PEFT did: the layers whose two matrices came from the file, those of which only one
did, and the exception when it raised one.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

from tools.text_families import built

Shapes = Mapping[str, tuple[int, ...]]
PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class Loaded:
    """What PEFT did with an adapter.

    Attributes:
        error: The class and the beginning of the exception that it raised.
        layers: The layers that act as the file says.
        random: Those of which the matrix at the output came from the file and the other from nowhere.
        scales: What their differences are multiplied by.
    """

    error: str | None = None
    layers: frozenset[str] = frozenset()
    random: frozenset[str] = frozenset()
    scales: frozenset[float] = frozenset()


def tensors(layers: Iterable[tuple[str, int, int]], rank: int = 1) -> dict[str, tuple[int, ...]]:
    """Give the shapes of an adapter's file as PEFT saves it.

    Args:
        layers: Name, inputs and outputs of each layer.
        rank: Its rank.
    """
    made: dict[str, tuple[int, ...]] = {}
    for name, inputs, outputs in layers:
        if name.endswith("embed_tokens"):
            made[f"{PREFIX}{name}.lora_embedding_A"] = rank, inputs
            made[f"{PREFIX}{name}.lora_embedding_B"] = outputs, rank
        else:
            made[f"{PREFIX}{name}.lora_A.weight"] = rank, inputs
            made[f"{PREFIX}{name}.lora_B.weight"] = outputs, rank
    return made


def load(architecture: str, numbers: Mapping[str, Any], shapes: Shapes, config: Mapping[str, Any]) -> Loaded:
    """Load an adapter onto a model without weights and count what happened.

    Args:
        architecture: The model's class.
        numbers: The arguments of its configuration.
        shapes: The file's tensors.
        config: The fields of adapter_config.json.
    """
    model = built(architecture, numbers)
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            Path(folder, "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
            wrapped = get_peft_model(model, PeftConfig.from_pretrained(folder))
            result = set_peft_model_state_dict(wrapped, state)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        return Loaded(error=f"{type(error).__name__}: {str(error)[:120]}")
    return counted(wrapped, set(result.missing_keys))


def load_folder(model: Any, folder: Path) -> PeftModel:
    """Load a real folder onto a real model, as users do.

    Args:
        model: The base model.
        folder: The folder with adapter_config.json and adapter_model.safetensors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model, str(folder))


def write_folder(folder: Path, shapes: Shapes, config: Mapping[str, Any]) -> None:
    """Write an adapter's folder with noise in its tensors.

    Args:
        folder: Where to.
        shapes: The file's tensors.
        config: The fields of adapter_config.json.
    """
    generator = torch.Generator().manual_seed(7)
    made = {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}
    save_file(made, str(folder / "adapter_model.safetensors"), {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


def counted(wrapped: Any, missing: set[str]) -> Loaded:
    """Count the layers of a wrapped model whose matrices came from the file.

    Args:
        wrapped: The model.
        missing: The parameters that the file did not have.
    """
    acting, half, scales = set(), set(), set()
    for name, layer in wrapped.named_modules():
        if not isinstance(layer, BaseTunerLayer) or "default" not in layer.scaling:
            continue
        embedding = bool(layer.lora_embedding_A)
        ends = ("lora_embedding_A.default", "lora_embedding_B.default") if embedding else (
            "lora_A.default.weight", "lora_B.default.weight"
        )  # fmt: skip
        came = [f"{name}.{end}" not in missing for end in ends]
        plain = name.removeprefix(PREFIX)
        if all(came):
            acting.add(plain)
            scales.add(round(float(layer.scaling["default"]), 6))
        elif came[1]:  # its other matrix is PEFT's random one; without this one nothing acts, as it is zero
            half.add(plain)
    return Loaded(None, frozenset(acting), frozenset(half), frozenset(scales))
