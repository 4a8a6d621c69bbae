"""The small base model's facts, read without its weights: id, sizes, layers that an adapter can change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent.parent / "base_model"
PREFIX = "transformer."  # of a diffusers-layout adapter's tensor names


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear layer that an adapter can change.

    Args:
        inputs: columns of its weight.
        outputs: rows of its weight.
    """

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The base that the embedded engine draws with.

    Args:
        id: its public name.
        size: side of its pictures in px.
        hidden: width of its blocks.
        double_blocks: FLUX's blocks with separate text and picture streams.
        single_blocks: FLUX's blocks with one stream.
        layers: every adaptable layer by its diffusers name, without a prefix.
        groups: layers that the graph applies to the same rows, so that it is fed their A parts side by side.
        folder: where its files lie.
    """

    id: str
    size: int
    hidden: int
    double_blocks: int
    single_blocks: int
    layers: Mapping[str, Layer]
    groups: tuple[tuple[Layer, ...], ...]
    folder: Path

    @property
    def vocabulary(self) -> Path:
        """The word pieces that its text encoder reads."""
        return self.folder / "tokenizer" / "vocab.txt"


@cache
def base_model(folder: Path = FOLDER) -> BaseModel:
    """Read the base model's facts from ``lora_layout.json`` in its folder."""
    facts = json.loads((folder / "lora_layout.json").read_text(encoding="utf-8"))
    layers = {row["name"]: Layer(row["name"], row["in"], row["out"]) for row in facts["modules"]}
    return BaseModel(
        id=facts["base"],
        size=facts["size"],
        hidden=facts["hidden"],
        double_blocks=facts["blocks"]["double"],
        single_blocks=facts["blocks"]["single"],
        layers=MappingProxyType(layers),
        groups=tuple(tuple(layers[name] for name in names) for names in facts["groups"]),
        folder=folder,
    )


def native_size() -> int:
    """Return the side, in px, of the pictures that the base model draws."""
    return base_model().size


def matching_layers(names: list[str]) -> set[str]:
    """Tell which layers of the base an adapter with these tensor names would change.

    Args:
        names: tensor names of a safetensors file in the diffusers layout,
            ``transformer.<layer>.lora_A.weight``.
    """
    stems = {name.removeprefix(PREFIX).partition(".lora_")[0] for name in names if name.startswith(PREFIX)}
    return stems & set(base_model().layers)
