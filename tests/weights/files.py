"""Write safetensors files by hand, sound or broken: nothing of the code under test takes part."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

WIDTH = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "F8_E4M3": 1, "I8": 1, "I64": 8}
_random = random.Random(7)  # noqa: S311 - test data
#: A quarter of a page of small random numbers in each type; repeated, it fills any matrix.
NOISE = {
    "F32": struct.pack("<256f", *(numbers := [_random.gauss(0, 0.05) or 0.01 for _ in range(256)])),
    "F16": struct.pack("<256e", *numbers),
    "F64": struct.pack("<256d", *numbers),
    "BF16": b"".join(struct.pack("<f", number)[2:] for number in numbers),
    "F8_E4M3": bytes(_random.randrange(0x20, 0x50) for _ in range(256)),
    "I8": bytes(_random.randrange(1, 100) for _ in range(256)),
    "I64": struct.pack("<256q", *range(1, 257)),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A tensor to write."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


Tensors = dict[str, Made]


def noise(*shape: int, dtype: str = "F32") -> Made:
    """Make a tensor of small random numbers."""
    size = math.prod(shape) * WIDTH[dtype]
    block = NOISE[dtype]
    return Made(dtype, shape, (block * (size // len(block) + 1))[:size])


def zeros(*shape: int, dtype: str = "F32") -> Made:
    """Make a tensor of zeros."""
    return Made(dtype, shape, bytes(math.prod(shape) * WIDTH[dtype]))


def scalar(value: float, dtype: str = "F32") -> Made:
    """Make a tensor of one number, without dimensions."""
    data = (
        struct.pack("<f", value)[2:]
        if dtype == "BF16"
        else struct.pack({"F32": "<f", "F16": "<e", "F64": "<d"}[dtype], value)
    )
    return Made(dtype, (), data)


def with_number(tensor: Made, value: float, index: int = 0) -> Made:
    """Give the same F32 tensor with one number replaced."""
    data = bytearray(tensor.data)
    struct.pack_into("<f", data, 4 * index, value)
    return Made(tensor.dtype, tensor.shape, bytes(data))


def build(tensors: Mapping[str, Made], metadata: object = None) -> bytes:
    """Write a sound safetensors file; the tensors lie in the given order."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    return raw(json.dumps(header).encode(), b"".join(tensor.data for tensor in tensors.values()))


def raw(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Write the parts of a safetensors file as they are given."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def edited(tensors: Mapping[str, Made], edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Write a file whose header was changed after the data was laid out."""
    content = build(tensors)
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    edit(header)
    return raw(json.dumps(header).encode(), content[8 + length :])


def pair(module: str, inputs: int, outputs: int, *, rank: int = 2, dtype: str = "F32") -> Tensors:
    """Make both matrices of a module in PEFT's spelling; `module` carries its prefix."""
    return {
        f"{module}.lora_A.weight": noise(rank, inputs, dtype=dtype),
        f"{module}.lora_B.weight": noise(outputs, rank, dtype=dtype),
    }


def kohya(module: str, inputs: int, outputs: int, *, rank: int = 2, alpha: float | None = 1.0) -> Tensors:
    """Make a module in kohya's spelling; `module` carries its prefix."""
    made = {
        f"{module}.lora_down.weight": noise(rank, inputs),
        f"{module}.lora_up.weight": noise(outputs, rank),
    }
    return made if alpha is None else {f"{module}.alpha": scalar(alpha), **made}


def lora(layers: Iterable[tuple[str, int, int]], prefix: str = "transformer.", *, rank: int = 2) -> Tensors:
    """Make an adapter in the diffusers layout over layers of name, inputs and outputs."""
    made: Tensors = {}
    for name, inputs, outputs in layers:
        made |= pair(prefix + name, inputs, outputs, rank=rank)
    return made


def joined(parts: Iterable[Tensors]) -> Tensors:
    """Put the tensors of several modules into one file."""
    made: Tensors = {}
    for part in parts:
        made |= part
    return made


#: A few layers of our own embedded base, written down here and not read from its table.
ICON_LAYERS = [
    *((f"transformer_blocks.{block}.attn.to_{word}", 256, 256) for block in range(2) for word in "qkv"),
    *(
        (f"single_transformer_blocks.{block}.attn.to_{word}", 256, 256)
        for block in range(6)
        for word in "qkv"
    ),
    *((f"single_transformer_blocks.{block}.proj_out", 1280, 256) for block in range(6)),
]


def icons(*, rank: int = 2) -> Tensors:
    """Make a sound adapter for the embedded base: 30 modules that touch all its blocks."""
    return lora(ICON_LAYERS, rank=rank)
