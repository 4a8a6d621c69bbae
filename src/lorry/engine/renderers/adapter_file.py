"""Read a LoRA file in the diffusers layout, with numpy alone.

The layout: ``transformer.<layer>.lora_A.weight`` [rank, in] and ``.lora_B.weight`` [out, rank]. The
strength that training meant lies in one of three places, as diffusers reads them: ``.alpha`` tensors
(alpha / rank), the header's ``lora_adapter_metadata`` (a LoraConfig as JSON), or nowhere (1.0).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.base import PREFIX, BaseModel, Layer
from lorry.engine.renderers.strength import adapter_config, stated_rank, strength_of
from lorry.errors import AdapterUnusable

Floats = npt.NDArray[np.float32]
Raw = npt.NDArray[Any]

_DTYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
_BF16 = np.uint16  # numpy has none; the upper half of a float32
# Tensors that change what a layer does beyond A and B; leaving them out would draw something else.
_BEYOND = (".lora_magnitude_vector", ".dora_scale", ".lora_B.bias")

#: Largest rank that is taken: the base's layers have 256 rows or columns, and no change of them has more.
LARGEST_RANK = 256


@dataclass(frozen=True, slots=True)
class AdapterLayer:
    """What an adapter adds to one layer, in the numbers of its file.

    Attributes:
        layer: The layer.
        down: A, [rank, in]; bfloat16 as its bits.
        up: B, [out, rank]; bfloat16 as its bits.
        strength: The factor on B A that the file asks for.
    """

    layer: Layer
    down: Raw
    up: Raw
    strength: float

    @property
    def rank(self) -> int:
        """The rank of the change."""
        return int(self.down.shape[0])


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A file that was read and found to fit the base."""

    layers: tuple[AdapterLayer, ...]

    @property
    def rank(self) -> int:
        """The largest rank among its layers."""
        return max((each.rank for each in self.layers), default=0)

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(each.down.nbytes + each.up.nbytes for each in self.layers)


def read_adapter(path: Path, base: BaseModel) -> AdapterFile:
    """Read an adapter file.

    Raises:
        AdapterUnusable: no safetensors file, a shape that does not fit, a missing partner, two statements
            of the strength, a rank beyond the limit, numbers that are none, or a kind of adapter that A and
            B alone don't describe.
    """
    tensors, metadata = read_raw(path)
    config = _adapter_config(metadata, path)
    pairs = find_pairs(tensors, base, path)
    _refuse_more_than_pairs(tensors, [layer for layer, _ in pairs], path)
    layers = [
        AdapterLayer(layer, *pair, _strength(layer, pair[0].shape[0], tensors, config, path))
        for layer, pair in pairs
    ]
    for each in layers:
        _refuse_unsound(each, path)
    return AdapterFile(tuple(layers))


def _refuse_unsound(each: AdapterLayer, path: Path) -> None:
    name = f"{PREFIX}{each.layer.name}"
    if each.rank > LARGEST_RANK:
        message = f"{name} has rank {each.rank}, and {LARGEST_RANK} is the most that is drawn with"
        raise _unusable(path, message, f"{name}.lora_A.weight")
    parts = (("lora_A", each.down), ("lora_B", each.up))
    wrong = next((part for part, values in parts if not all_numbers(values)), None)
    if wrong or not math.isfinite(each.strength):
        tensor = f"{name}.{wrong}.weight" if wrong else f"{name}.alpha"
        message = f"{tensor} holds NaN or infinity, and would draw black pictures"
        raise _unusable(path, message, tensor)


def all_numbers(values: Raw) -> bool:
    """Say whether there is neither NaN nor infinity in a tensor."""
    if values.dtype == _BF16:
        return bool(((values & 0x7F80) != 0x7F80).all())  # an exponent of all ones is neither
    return bool(np.isfinite(values).all())


def as_floats(values: Raw) -> Floats:
    """Give a tensor's numbers as float32."""
    if values.dtype == _BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def find_pairs(
    tensors: Mapping[str, Raw], base: BaseModel, path: Path
) -> list[tuple[Layer, tuple[Raw, Raw]]]:
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
    tensors, metadata = read_raw(path)
    return {name: as_floats(values) for name, values in tensors.items()}, metadata


def read_raw(path: Path) -> tuple[dict[str, Raw], dict[str, str]]:
    """Read a safetensors file's tensors as they are, bf16 as its bits, and its header's metadata.

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
    return {name: _raw(name, entry) for name, entry in entries}, header.get("__metadata__", {})


def _raw(name: str, entry: Mapping[str, Any]) -> Raw:
    kind = entry["dtype"]
    if kind != "BF16" and kind not in _DTYPES:
        raise AdapterUnusable(
            f"the tensor {name} holds {kind} numbers; the renderer reads F32, F16 and BF16",
            fix="Save the adapter in bfloat16 or float32.",
            evidence={"tensor": name, "dtype": kind},
        )
    return np.frombuffer(entry["data"], _DTYPES.get(kind, _BF16)).reshape(entry["shape"])


def _pair(tensors: Mapping[str, Raw], layer: Layer, path: Path) -> tuple[Raw, Raw] | None:
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


def _refuse_more_than_pairs(tensors: Mapping[str, Raw], layers: list[Layer], path: Path) -> None:
    for stem in (PREFIX + layer.name for layer in layers):
        for name in tensors:
            if name.startswith(stem) and name[len(stem) :].startswith(_BEYOND):
                message = f"{name} is more than a plain LoRA, and this renderer applies only that"
                raise _unusable(path, message, name)


def _strength(
    layer: Layer, rank: int, tensors: Mapping[str, Raw], config: Mapping[str, Any] | None, path: Path
) -> float:
    """Return the factor on B A that the file asks for."""
    alpha = tensors.get(f"{PREFIX}{layer.name}.alpha")
    if config is None:
        return 1.0 if alpha is None else float(as_floats(alpha).reshape(-1)[0]) / rank
    if alpha is not None:
        message = "states its strength twice, in .alpha tensors and in lora_adapter_metadata"
        raise _unusable(path, message, f"{PREFIX}{layer.name}.alpha")
    stated = stated_rank(config, layer.name, rank)
    if stated != rank:
        message = f"{layer.name} has rank {rank}, and its lora_adapter_metadata says {stated}"
        raise _unusable(path, message, f"{PREFIX}{layer.name}.lora_A.weight")
    return strength_of(config, layer.name, rank)


def _adapter_config(metadata: Mapping[str, str], path: Path) -> dict[str, Any] | None:
    """Read the LoraConfig that diffusers wrote into the header, if it did."""
    try:
        return adapter_config(metadata.get("lora_adapter_metadata"), PREFIX)
    except ValueError as error:
        raise _unusable(path, f"its lora_adapter_metadata is no JSON: {error}", "__metadata__") from error


def _unusable(path: Path, sentence: str, tensor: str) -> AdapterUnusable:
    return AdapterUnusable(f"{path.name}: {sentence}", evidence={"file": path.name, "tensor": tensor})
