"""Read a PEFT adapter's folder and hold it against the layers of a base, without torch.

PEFT takes a file none of whose names fit, warns and changes nothing; at a wrong shape it stops with a message
about itself (LoRA formats dossier, section 1.5). Here each is refused beforehand, with its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorry.errors import AdapterUnusable, SourceNotFound
from lorry.weights.adapter.peft_config import FILE as CONFIG
from lorry.weights.adapter.peft_config import PeftConfig, read_config
from lorry.weights.adapter.text import PREFIX
from lorry.weights.catalogue import StructureFault
from lorry.weights.files.header import Header, Tensor, read_header
from lorry.weights.files.source import FileSource

WEIGHTS = "adapter_model.safetensors"

#: Inputs and outputs of each layer that an adapter may change, by its full name in the model.
Layers = Mapping[str, tuple[int, int]]

_MATRIX = re.compile(rf"{re.escape(PREFIX)}(.+)\.lora_([AB])\.weight")
_FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """An adapter that fits a base.

    Attributes:
        config: Its adapter_config.json.
        header: Header of its weights.
        modules: Layers that it changes.
        rank: Its largest rank.
    """

    config: PeftConfig
    header: Header
    modules: int
    rank: int


def read_adapter_folder(folder: Path, base: str, layers: Layers) -> AdapterFolder:
    """Read an adapter and make sure that it fits.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        base: Name of the base, for the sentences.
        layers: The base's layers.

    Raises:
        AdapterUnusable: A file is missing or broken, a layer or a shape is not the base's, or it is
            no plain LoRA.
    """
    config = _config(folder / CONFIG)
    header = _header(folder / WEIGHTS)
    matrices = _matrices(header)
    for layer in matrices:
        if layer not in layers:
            raise _unusable(
                f"The adapter changes {layer}, and {base} has no such layer.", layer=layer, base=base
            )
        _hold(matrices[layer], layers[layer], base)
    rank = max(down.shape[0] for down, _ in matrices.values())
    return AdapterFolder(config, header, len(matrices), rank)


def _config(path: Path) -> PeftConfig:
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"{CONFIG} can't be read: {error}.", file=CONFIG) from error
    config = read_config(text)
    if config.flaw:
        raise _unusable(config.flaw.message, file=CONFIG)
    kind = config.fields.get("peft_type")
    if kind != "LORA":
        raise _unusable(
            f"{CONFIG} says peft_type {kind!r}; only LORA is served.", file=CONFIG, peft_type=kind
        )
    if config.rank is None or config.alpha is None:
        raise _unusable(f"{CONFIG} states no rank `r` or no `lora_alpha`.", file=CONFIG)
    for field in ("use_dora", "modules_to_save", "trainable_token_indices", "alora_invocation_tokens"):
        if config.fields.get(field):
            message = (
                f"{CONFIG} has {field}; requests with other adapters in one batch take plain LoRAs only."
            )
            raise _unusable(message, file=CONFIG, field=field)
    return config


def _header(path: Path) -> Header:
    try:
        with FileSource(path) as source:
            return read_header(source)
    except (SourceNotFound, OSError) as error:
        raise _unusable(f"{path.name} can't be read: {error}", file=path.name) from error
    except StructureFault as fault:
        raise _unusable(f"{path.name}: {fault.finding.message}", file=path.name) from fault


def _matrices(header: Header) -> dict[str, tuple[Tensor, Tensor]]:
    """Pair the matrices by layer.

    Raises:
        AdapterUnusable: There are none, one has no partner, or something else lies between them.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in header.tensors:
        match = _MATRIX.fullmatch(tensor.name)
        if match is None:
            message = f"The tensor {tensor.name} is no matrix of a LoRA that PEFT would load."
            raise _unusable(message, tensor=tensor.name)
        if tensor.dtype not in _FLOATS:
            message = (
                f"The tensor {tensor.name} holds {tensor.dtype} numbers, not one of {', '.join(_FLOATS)}."
            )
            raise _unusable(message, tensor=tensor.name, dtype=tensor.dtype)
        found.setdefault(match[1], {})[match[2]] = tensor
    if not found:
        raise _unusable(f"{WEIGHTS} changes no layer: it has no tensors.", file=WEIGHTS)
    for layer, pair in found.items():
        if len(pair) < 2:
            (there,) = pair
            message = f"The layer {layer} has lora_{there} only; the other matrix is missing."
            raise _unusable(message, layer=layer)
    return {layer: (pair["A"], pair["B"]) for layer, pair in found.items()}


def _hold(pair: tuple[Tensor, Tensor], size: tuple[int, int], base: str) -> None:
    down, up = pair
    rank = down.shape[0] if down.shape else 0
    for tensor, shape in ((down, (rank, size[0])), (up, (size[1], rank))):
        if tensor.shape != shape or not rank:
            found, taken = list(tensor.shape), list(shape)
            raise _unusable(
                f"The tensor {tensor.name} has the shape {found}; {base} takes {taken} there.",
                tensor=tensor.name,
                shape=found,
                expected=taken,
                base=base,
            )


def _unusable(message: str, **evidence: Any) -> AdapterUnusable:
    return AdapterUnusable(message, evidence=evidence)
