"""Read a safetensors header by ourselves, and say what breaks its rules (LoRA formats dossier, section 2).

Stops at the first structural fault. Only the header is read, over any byte source; the rules are those of
the format, not those of the library's leniencies (a hole or a duplicate key is a fault here).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lorry.weights.catalogue import counted, fault
from lorry.weights.files.source import ByteSource

LARGEST_HEADER = 100_000_000  # the safetensors library's own limit

#: Bits per number of each data type that the format knows.
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's entry: `begin` and `end` count from the start of the data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """A sound header: tensors in the order of their bytes, and where the data starts in the file."""

    tensors: tuple[Tensor, ...]
    metadata: dict[str, str]
    data_start: int


def read_header(source: ByteSource) -> Header:
    """Read and judge the header of a safetensors file.

    Args:
        source: The file.

    Raises:
        StructureFault: The first rule that the file breaks, as a finding.
    """
    length = _header_length(source)
    document = _document(source, length)
    metadata = _metadata(document.pop("__metadata__", None))
    tensors = sorted((_tensor(name, row) for name, row in document.items()), key=_by_bytes)
    _judge_coverage(tensors)
    _judge_length(source, 8 + length, tensors)
    return Header(tuple(tensors), metadata, 8 + length)


def _header_length(source: ByteSource) -> int:
    prefix = source.read(0, 8)
    if len(prefix) < 8:
        raise fault(
            "HDR_TRUNCATED",
            f"{source.name} has {source.size} bytes; the shortest safetensors file has 10.",
            size=source.size,
        )
    length = int.from_bytes(prefix, "little")
    if length > LARGEST_HEADER:
        message = f"The first 8 bytes of {source.name} announce a header of {length:,} bytes."
        raise fault("HDR_TOO_LARGE", message, header=length, limit=LARGEST_HEADER)
    if 8 + length > source.size:
        message = (
            f"The header of {source.name} has {length:,} bytes, but the file ends after {source.size:,}."
        )
        raise fault("HDR_TRUNCATED", message, header=length, size=source.size)
    return length


def _document(source: ByteSource, length: int) -> dict[str, Any]:
    try:
        text = source.read(8, length).decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The header of {source.name} is no UTF-8 text from its byte {error.start:,} on."
        raise fault("HDR_UTF8", message, byte=error.start) from error
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"The header of {source.name} is no JSON: {error.msg} at {place}."
        raise fault("HDR_JSON", message, line=error.lineno, column=error.colno) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, a constant that is no JSON, or nesting beyond all measure.
        message = f"The header of {source.name} is no JSON that describes tensors."
        raise fault("HDR_JSON", message) from error
    if not isinstance(document, dict):
        raise fault("HDR_JSON", f"The header of {source.name} is JSON, but no object.")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise fault("HDR_DUPLICATE_KEY", f"The header names {twice!r} twice.", subject=twice)
    return document


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fault("META_NOT_STRING", f"The header's metadata is a {_kind(value)}.", subject="__metadata__")
    for name, entry in value.items():
        if not isinstance(entry, str):
            message = f"The header's metadata {name!r} is a {_kind(entry)}, not text."
            raise fault("META_NOT_STRING", message, subject=name)
    return value


def _tensor(name: str, row: object) -> Tensor:
    if not isinstance(row, dict):
        raise fault("TENSOR_FIELDS", f"The entry of {name} is a {_kind(row)}.", subject=name)
    dtype, shape, offsets = row.get("dtype"), row.get("shape"), row.get("data_offsets")
    wrong = [
        field
        for field, fits in (
            ("dtype", isinstance(dtype, str)),
            ("shape", _is_counts(shape)),
            ("data_offsets", _is_counts(offsets) and len(offsets or ()) == 2),
        )
        if not fits
    ]
    if wrong:
        message = f"{name} has no usable {' and '.join(wrong)}."
        raise fault("TENSOR_FIELDS", message, subject=name, fields=wrong)
    assert isinstance(dtype, str)  # noqa: S101 - told above; for the type checker
    assert isinstance(shape, list)  # noqa: S101
    assert isinstance(offsets, list)  # noqa: S101
    if dtype not in BITS:
        raise fault(
            "TENSOR_DTYPE", f"{name} has the data type {dtype[:40]!r}.", subject=name, dtype=dtype[:40]
        )
    tensor = Tensor(name, dtype, tuple(shape), *offsets)
    needed, given = tensor.count * BITS[dtype], 8 * (tensor.end - tensor.begin)
    if needed != given:
        needed_bytes = f"{-(-needed // 8):,}" if needed < 2**63 else "more than 2^60"
        message = f"{name}, {dtype} {shape}, needs {needed_bytes} bytes; the header gives it {given // 8:,}."
        raise fault("TENSOR_SIZE", message, subject=name, found=given // 8)
    return tensor


def _judge_coverage(tensors: Iterable[Tensor]) -> None:
    end, before = 0, ""
    for tensor in tensors:
        if tensor.begin > end:
            message = (
                f"{tensor.name} begins at byte {tensor.begin:,}, but the data before it ends at {end:,}."
            )
            raise fault("TENSOR_OFFSET", message, subject=tensor.name, expected=end, found=tensor.begin)
        if tensor.begin < end:
            message = f"{tensor.name} shares {end - tensor.begin:,} bytes with {before}."
            raise fault("TENSOR_OVERLAP", message, subject=tensor.name, other=before)
        end, before = tensor.end, tensor.name


def _judge_length(source: ByteSource, start: int, tensors: list[Tensor]) -> None:
    expected = start + (tensors[-1].end if tensors else 0)
    if expected > source.size:
        percent = f"{100 * (expected - source.size) / expected:.3g}%"
        message = f"{source.name} has {source.size:,} of {expected:,} bytes: {percent} are missing."
        raise fault("DATA_TRUNCATED", message, expected=expected, found=source.size)
    if expected < source.size:
        extra = source.size - expected
        message = f"{source.name} has {counted(extra, 'byte')} after its last tensor."
        raise fault("DATA_TRAILING", message, expected=expected, found=source.size)


def _by_bytes(tensor: Tensor) -> tuple[int, int]:
    return tensor.begin, tensor.end


def _is_counts(value: object) -> bool:
    # `type is int`: True and 1.0 are no counts
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _kind(value: object) -> str:
    return {dict: "object", list: "list", str: "text", bool: "truth value", type(None): "null"}.get(
        type(value), "number"
    )
