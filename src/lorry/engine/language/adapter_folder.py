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

#: Inputs and outputs of each linear layer of a base, by its full name in the model.
Layers = Mapping[str, tuple[int, int]]

_MATRIX = re.compile(rf"{re.escape(PREFIX)}(.+)\.lora_([AB])\.weight")
_FLOATS = ("F16", "BF16", "F32", "F64")

# What a plain LoRA does not have (peft 0.21, LoraConfig). PEFT mixes plain ones only in one batch.
_BEYOND = (
    "use_dora",
    "modules_to_save",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "target_parameters",
    "layer_replication",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
    "lora_bias",
    "fan_in_fan_out",
)


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """An adapter that fits a base.

    Attributes:
        header: Header of its weights.
        ranks: Rank of each layer that it changes.
        alphas: Alpha of each of them; the strength is alpha / rank, or alpha / √rank for rsLoRA.
        rslora: Whether it is an rsLoRA.
    """

    header: Header
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    rslora: bool

    @property
    def modules(self) -> int:
        """Layers that it changes."""
        return len(self.ranks)

    @property
    def rank(self) -> int:
        """Its largest rank."""
        return max(self.ranks.values())

    def holds(self, tensor: str) -> bool:
        """Tell whether a tensor is a matrix of a layer that is changed.

        Args:
            tensor: Its name in the file.
        """
        match = _MATRIX.fullmatch(tensor)
        return match is not None and match[1] in self.ranks


def read_adapter_folder(folder: Path, base: str, layers: Layers) -> AdapterFolder:
    """Read an adapter and make sure that it fits.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        base: Name of the base, for the sentences.
        layers: The base's layers.

    Raises:
        AdapterUnusable: A file is missing or broken, a layer or a shape is not the base's, no layer is
            changed, or it is no plain LoRA.
    """
    config = _config(folder / CONFIG)
    header = _header(folder / WEIGHTS)
    found = {layer: _rank(layer, pair, base, layers, config) for layer, pair in _matrices(header).items()}
    # PEFT makes no room for a layer that the config does not name, and leaves its matrices out.
    ranks = {layer: rank for layer, rank in found.items() if config.means(layer)}
    if not ranks:
        message = f"{CONFIG} names none of the {len(found)} layers in {WEIGHTS} under target_modules."
        raise _unusable(message, file=CONFIG, layers=len(found))
    alphas = {layer: _alpha(config, layer) for layer in ranks}
    return AdapterFolder(header, ranks, alphas, config.fields.get("use_rslora") is True)


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
        message = f"{CONFIG} says peft_type {kind!r}; only LORA is served."
        raise _unusable(message, file=CONFIG, peft_type=kind)
    if config.rank is None or config.alpha is None:
        raise _unusable(f"{CONFIG} states no rank `r` or no `lora_alpha`.", file=CONFIG)
    for field in _BEYOND:
        if config.fields.get(field):
            message = f"{CONFIG} has {field}; only plain LoRAs can share a batch."
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
            message = f"The tensor {tensor.name} is no matrix of a plain LoRA on a linear layer."
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


def _rank(layer: str, pair: tuple[Tensor, Tensor], base: str, layers: Layers, config: PeftConfig) -> int:
    """Hold a layer's matrices against the base and the config, and give their rank."""
    if layer not in layers:
        message = f"The adapter changes {layer}, and {base} has no such layer."
        raise _unusable(message, layer=layer, base=base)
    down, up = pair
    inputs, outputs = layers[layer]
    rank = down.shape[0] if down.shape else 0
    for tensor, shape in ((down, (rank, inputs)), (up, (outputs, rank))):
        if tensor.shape != shape or not rank:
            found, taken = list(tensor.shape), list(shape)
            raise _unusable(
                f"The tensor {tensor.name} has the shape {found}; {base} takes {taken} there.",
                tensor=tensor.name,
                shape=found,
                expected=taken,
                base=base,
            )
    stated = config.rank_of(layer)
    if stated != rank:
        message = f"The layer {layer} has the rank {rank}, and {CONFIG} says {stated}."
        raise _unusable(message, layer=layer, rank=rank, stated=stated)
    return rank


def _alpha(config: PeftConfig, layer: str) -> float:
    patterns = config.fields.get("alpha_pattern")
    for words, alpha in (patterns if isinstance(patterns, dict) else {}).items():
        # Taken as plain names, as the ranks are: a file's regular expression is never run.
        name = words.removeprefix("^").removesuffix("$").replace("\\", "")
        if f".{layer}".endswith(f".{name}") and type(alpha) in (int, float):
            return float(alpha)
    return float(config.alpha or 0)


def _unusable(message: str, **evidence: Any) -> AdapterUnusable:
    return AdapterUnusable(message, evidence=evidence)
