"""Read a LoRA file in the diffusers layout into one packed array, with numpy alone.

The layout: ``transformer.<layer>.lora_A.weight`` [rank, in] and ``.lora_B.weight`` [out, rank]. The
strength that training meant lies in one of three places, as diffusers reads them: ``.alpha`` tensors
(alpha / rank), the header's ``lora_adapter_metadata`` (a LoraConfig as JSON), or nowhere (1.0).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.base import PREFIX, BaseModel, Layer
from lorry.errors import AdapterUnusable

Floats = npt.NDArray[np.float32]

_DTYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
# Tensors that change what a layer does beyond A and B; leaving them out would draw something else.
_BEYOND = (".lora_magnitude_vector", ".dora_scale", ".lora_B.bias")


@dataclass(frozen=True, slots=True)
class PackedAdapter:
    """An adapter ready to be fed: float32 [rank, packed width], the trained strength folded into B."""

    values: Floats
    modules: int

    @property
    def rank(self) -> int:
        """The largest rank among its layers."""
        return int(self.values.shape[0])


def read_adapter(path: Path, base: BaseModel) -> PackedAdapter:
    """Read and pack an adapter file.

    Raises:
        AdapterUnusable: no safetensors file, a shape that does not fit, a missing partner, two statements
            of the strength, or a kind of adapter that A and B alone don't describe.
    """
    tensors, metadata = read_tensors(path)
    config = _adapter_config(metadata, path)
    pairs = find_pairs(tensors, base, path)
    _refuse_more_than_pairs(tensors, [layer for layer, _ in pairs], path)
    rank = max((down.shape[0] for _, (down, _) in pairs), default=0)
    packed = np.zeros((rank, base.packed_width), np.float32)
    for layer, (down, up) in pairs:
        size, middle = down.shape[0], layer.offset + layer.inputs
        packed[:size, layer.offset : middle] = down
        packed[:size, middle : middle + layer.outputs] = up.T * _strength(layer, size, tensors, config, path)
    return PackedAdapter(packed, len(pairs))


def find_pairs(
    tensors: Mapping[str, Floats], base: BaseModel, path: Path
) -> list[tuple[Layer, tuple[Floats, Floats]]]:
    """Find the A and B of every layer that the file changes, and hold them against the layer's shape.

    Raises:
        AdapterUnusable: a partner is missing or a shape does not fit.
    """
    found = [(layer, _pair(tensors, layer, path)) for layer in base.layers.values()]
    return [(layer, pair) for layer, pair in found if pair is not None]


def read_tensors(path: Path) -> tuple[dict[str, Floats], dict[str, str]]:
    """Read a safetensors file's tensors as float32 (bf16 too, without torch) and its header's metadata.

    Raises:
        AdapterUnusable: the file is missing, is no safetensors file, or holds numbers of another kind.
    """
    from safetensors import SafetensorError, deserialize

    evidence = {"file": path.name}
    try:
        content = path.read_bytes()
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise AdapterUnusable(f"{path.name} can't be read: {error.strerror}", evidence=evidence) from error
    except SafetensorError as error:
        message = f"{path.name} is no complete safetensors file: {error}"
        raise AdapterUnusable(message, evidence=evidence) from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return {name: _floats(name, entry) for name, entry in entries}, header.get("__metadata__", {})


def _floats(name: str, entry: Mapping[str, Any]) -> Floats:
    data, shape, kind = entry["data"], entry["shape"], entry["dtype"]
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind not in _DTYPES:
        raise AdapterUnusable(
            f"the tensor {name} holds {kind} numbers; the renderer reads F32, F16 and BF16",
            fix="Save the adapter in bfloat16 or float32.",
            evidence={"tensor": name, "dtype": kind},
        )
    return np.frombuffer(data, _DTYPES[kind]).astype(np.float32).reshape(shape)


def _pair(tensors: Mapping[str, Floats], layer: Layer, path: Path) -> tuple[Floats, Floats] | None:
    """Return a layer's A and B; None when the file has neither."""
    stem = PREFIX + layer.name
    names = f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
    present = [name in tensors for name in names]
    if not any(present):
        return None
    if not all(present):
        there, missing = names if present[0] else names[::-1]
        raise _unusable(path, f"{there} has no partner {missing}", missing)
    down, up = tensors[names[0]], tensors[names[1]]
    rank = down.shape[0] if down.ndim else 0
    wanted = (rank, layer.inputs), (layer.outputs, rank)
    for name, value, shape in zip(names, (down, up), wanted, strict=True):
        if value.shape != shape or rank == 0:
            message = f"{name} has the shape {list(value.shape)}, and the base needs {list(shape)}"
            raise _unusable(path, message, name)
    return down, up


def _refuse_more_than_pairs(tensors: Mapping[str, Floats], layers: list[Layer], path: Path) -> None:
    for stem in (PREFIX + layer.name for layer in layers):
        for name in tensors:
            if name.startswith(stem) and name[len(stem) :].startswith(_BEYOND):
                message = f"{name} is more than a plain LoRA, and this renderer applies only that"
                raise _unusable(path, message, name)


def _strength(
    layer: Layer, rank: int, tensors: Mapping[str, Floats], config: Mapping[str, Any] | None, path: Path
) -> float:
    """Return the factor on B A that the file asks for."""
    alpha = tensors.get(f"{PREFIX}{layer.name}.alpha")
    if config is None:
        return 1.0 if alpha is None else float(alpha.reshape(-1)[0]) / rank
    if alpha is not None:
        message = "states its strength twice, in .alpha tensors and in lora_adapter_metadata"
        raise _unusable(path, message, f"{PREFIX}{layer.name}.alpha")
    stated_rank = _patterned(config, "rank_pattern", layer.name, config.get("r", rank))
    if int(stated_rank) != rank:
        message = f"{layer.name} has rank {rank}, and its lora_adapter_metadata says {stated_rank}"
        raise _unusable(path, message, f"{PREFIX}{layer.name}.lora_A.weight")
    strength = float(_patterned(config, "alpha_pattern", layer.name, config.get("lora_alpha", rank)))
    return strength / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _patterned(config: Mapping[str, Any], field: str, layer: str, otherwise: Any) -> Any:
    """Look a layer up in a LoraConfig pattern: keys are regular expressions on the end of its name (peft)."""
    for pattern, value in (config.get(field) or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return value
    return otherwise


def _adapter_config(metadata: Mapping[str, str], path: Path) -> dict[str, Any] | None:
    """Read the LoraConfig that diffusers wrote into the header, if it did."""
    text = metadata.get("lora_adapter_metadata")
    if text is None:
        return None
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise _unusable(path, f"its lora_adapter_metadata is no JSON: {error}", "__metadata__") from error
    config = {name.removeprefix(PREFIX): value for name, value in fields.items() if name.startswith(PREFIX)}
    return config or None


def _unusable(path: Path, sentence: str, tensor: str) -> AdapterUnusable:
    return AdapterUnusable(f"{path.name}: {sentence}", evidence={"file": path.name, "tensor": tensor})
