"""The factor that training meant each module's product to have, and where that is stated.

Read in the order in which loaders look (LoRA formats dossier, section 1.1): alpha tensors, the LoraConfig
in the header, adapter_config.json beside the file, what the user says, and 1 where nobody says anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.adapter.strength import CONFIG
from lorry.weights.convert.matrices import read_matrix
from lorry.weights.convert.numbers import DECODED
from lorry.weights.files.header import Header, Tensor
from lorry.weights.files.source import ByteSource

_COMPONENTS = ("transformer.", "unet.", "text_encoder.", "text_encoder_2.", "text_encoder_3.")
_WHOLE = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1"}


class Said(StrEnum):
    """Who states a module's strength."""

    ALPHA = "alpha tensors"
    HEADER = CONFIG
    CONFIG = "adapter_config.json"
    OPTION = "--alpha"
    NOBODY = "nothing"


@dataclass(frozen=True, slots=True)
class Strength:
    """A module's factor, and who states it."""

    scale: float
    said: Said


@dataclass(frozen=True, slots=True)
class Statements:
    """All that a file and its neighbours state about strength, read once.

    Attributes:
        alphas: The alpha of each tensor that is one, by its name.
        header: Fields of the header's LoraConfig by component (`transformer.`, or empty).
        config: Fields of adapter_config.json.
        option: What the user says alpha is.
        header_broken: Whether the header has a LoraConfig that can't be read.
    """

    alphas: Mapping[str, float | None]
    header: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    option: float | None
    header_broken: bool

    def of(self, module: Module) -> Strength:
        """Tell a module's strength; not a number where what is stated is none.

        Args:
            module: The module.
        """
        rank = divisor(module)
        tensor = module.one(Role.ALPHA)
        if rank is None:
            return Strength(1.0, Said.ALPHA if tensor else Said.NOBODY)
        if tensor is not None:
            alpha = self.alphas.get(tensor.name)
            return Strength(math.nan if alpha is None else alpha / rank, Said.ALPHA)
        for said, fields in ((Said.HEADER, self._fields(module)), (Said.CONFIG, self.config)):
            if fields.get("lora_alpha") is not None:
                return Strength(_configured(fields, module.name, rank), said)
        if self.option is not None:
            return Strength(self.option / rank, Said.OPTION)
        return Strength(1.0, Said.NOBODY)

    def _fields(self, module: Module) -> Mapping[str, Any]:
        name = next(iter(module.tensors.values()))[0].name
        component = next((start for start in _COMPONENTS if name.startswith(start)), "")
        return self.header.get(component) or self.header.get("", {})


def statements(
    source: ByteSource,
    header: Header,
    modules: tuple[Module, ...],
    config: Mapping[str, Any],
    option: float | None,
) -> Statements:
    """Read everything that states strength.

    Args:
        source: The file.
        header: Its header.
        modules: Its modules.
        config: Fields of adapter_config.json; empty where there is none.
        option: What the user says alpha is.
    """
    alphas = {
        tensor.name: _number(source, header, tensor)
        for module in modules
        if (tensor := module.one(Role.ALPHA)) is not None
    }
    fields = header_config(header.metadata)
    return Statements(alphas, fields or {}, config, option, fields is None)


def header_config(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]] | None:
    """Read the LoraConfig that diffusers wrote into the header.

    Args:
        metadata: The header's metadata.

    Returns:
        Its fields by component; `None` where it is there and is no JSON object.
    """
    text = metadata.get(CONFIG)
    if text is None:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    found: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        component = next((start for start in _COMPONENTS if name.startswith(start)), "")
        found.setdefault(component, {})[name.removeprefix(component)] = value
    return found


def divisor(module: Module) -> int | None:
    """Give the rank that alpha is divided by; `None` where the algorithm leaves alpha out.

    Args:
        module: A module of LoRA, LoKr or LoHa.
    """
    if Role.LOKR in module.tensors:
        shapes = {tensor.name.rpartition(".lokr_")[2]: tensor.shape for tensor in module.tensors[Role.LOKR]}
        found = shapes.get("w2_b") or shapes.get("w1_b")
        return found[0] if found else None  # two full factors have no rank, and LyCORIS sets alpha aside
    if Role.LOHA in module.tensors:
        shapes = {tensor.name.rpartition(".hada_")[2]: tensor.shape for tensor in module.tensors[Role.LOHA]}
        return shapes["w1_b"][0] if shapes.get("w1_b") else None
    return module.rank or None


def _configured(fields: Mapping[str, Any], name: str, rank: int) -> float:
    """Apply a LoraConfig as peft does, patterns taken as plain names (a file's regex is never run)."""
    alpha = fields["lora_alpha"]
    patterns = fields.get("alpha_pattern")
    for pattern, value in (patterns if isinstance(patterns, dict) else {}).items():
        plain = pattern.removeprefix("^").removesuffix("$").replace("\\", "")
        if name == plain or name.endswith("." + plain):
            alpha = value
            break
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        return math.nan
    return alpha / math.sqrt(rank) if fields.get("use_rslora") is True else alpha / rank


def _number(source: ByteSource, header: Header, tensor: Tensor) -> float | None:
    if tensor.count != 1:
        return None
    if tensor.dtype in _WHOLE:
        import numpy as np

        data = source.read(header.data_start + tensor.begin, tensor.end - tensor.begin)
        return float(np.frombuffer(data, _WHOLE[tensor.dtype])[0])
    if tensor.dtype not in DECODED:
        return None
    return float(read_matrix(source, header, tensor).values.reshape(-1)[0])
