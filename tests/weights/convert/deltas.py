"""What a file adds to its base model, computed from the file alone; no code under test takes part.

A layer of FLUX.1 has 28 million weights, so its difference is looked at through a few random inputs: two
differences that give the same outputs for them are the same.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.weights.files import Made, Tensors, build, scalar

Doubles = npt.NDArray[np.float64]
_FORMS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8"}


def read(path: Path) -> tuple[dict[str, Doubles], dict[str, str]]:
    """Read a safetensors file: its numbers by name, and its metadata."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    found = {}
    for name, row in header.items():
        begin, end = (8 + length + offset for offset in row["data_offsets"])
        found[name] = numbers(row["dtype"], content[begin:end]).reshape(row["shape"])
    assert 8 + length + max((row["data_offsets"][1] for row in header.values()), default=0) == len(content)
    return found, metadata


def dtypes(path: Path) -> set[str]:
    """List the data types in a file."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    return {row["dtype"] for name, row in header.items() if name != "__metadata__"}


def numbers(dtype: str, data: bytes) -> Doubles:
    """Decode stored numbers."""
    if dtype == "BF16":
        padded = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
        return np.frombuffer(padded, "<f4").astype(np.float64)
    return np.frombuffer(data, _FORMS[dtype]).astype(np.float64)


def stored(values: npt.ArrayLike, dtype: str = "F32") -> Made:
    """Make a tensor of given numbers; bfloat16 takes the upper half, so give numbers that fit it."""
    array = np.asarray(values, np.float64)
    if dtype == "BF16":
        data = array.astype("<f4").reshape(-1).view("<u2").reshape(-1, 2)[:, 1].tobytes()
        return Made(dtype, array.shape, data)
    return Made(dtype, array.shape, array.astype(_FORMS[dtype]).tobytes())


def random(*shape: int, seed: int, dtype: str = "F32") -> Made:
    """Make a tensor of small random numbers that are exact in the data type."""
    values = np.random.default_rng(seed).normal(size=shape) * 0.05
    if dtype == "BF16":
        bits = values.astype("<f4").view("<u4") & 0xFFFF_0000
        values = bits.view("<f4").astype(np.float64)
    return stored(values, dtype)


def pair(
    module: str,
    inputs: int,
    outputs: int,
    *,
    rank: int = 2,
    alpha: float | None = None,
    words: tuple[str, str] = ("lora_A", "lora_B"),
    seed: int = 0,
    dtype: str = "F32",
) -> Tensors:
    """Make a LoRA of one layer of random numbers."""
    made = {
        f"{module}.{words[0]}.weight": random(rank, inputs, seed=2 * seed, dtype=dtype),
        f"{module}.{words[1]}.weight": random(outputs, rank, seed=2 * seed + 1, dtype=dtype),
    }
    return made if alpha is None else {**made, f"{module}.alpha": scalar(alpha)}


KOHYA = ("lora_down", "lora_up")


def save(path: Path, tensors: Mapping[str, Made], metadata: object = None) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build(tensors, metadata))
    return path


def seen(
    tensors: Mapping[str, Doubles],
    module: str,
    words: tuple[str, str] = ("lora_A", "lora_B"),
    *,
    scale: float | None = None,
) -> Doubles:
    """Send random inputs through a layer's difference.

    The scale is what the file's alpha tensor says, or 1; or what is given.
    """
    down, up = (tensors[f"{module}.{word}.weight"] for word in words)
    rank = down.shape[0]
    if scale is None:
        alpha = tensors.get(f"{module}.alpha")
        scale = 1.0 if alpha is None else float(alpha.reshape(-1)[0]) / rank
    return scale * (up.reshape(up.shape[0], -1) @ (down.reshape(rank, -1) @ probe(math.prod(down.shape[1:]))))


def probe(inputs: int) -> Doubles:
    """Give the inputs that every layer of a width is looked at through."""
    return np.random.default_rng(inputs).normal(size=(inputs, 4))


def close(one: Doubles, two: Doubles, tolerance: float = 1e-6) -> bool:
    """Tell whether two differences are the same but for a share of their size."""
    size = max(float(np.linalg.norm(one)), 1e-30)
    return one.shape == two.shape and float(np.linalg.norm(one - two)) <= tolerance * size


def as_json(path: Path) -> dict[str, Any]:
    """Read a JSON document."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document
