"""Read a safetensors header by ourselves, and say all that breaks its rules (LoRA formats dossier 2).

Only the header is read, over any byte source; the rules are those of the format, not those of the library's
leniencies (a hole or a duplicate key is a fault here). What is wrong with the tensors' entries is collected;
a header that is not even a JSON object ends the reading at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from lorry.model.report import Finding, Mend
from lorry.weights.catalogue import StructureFault, counted, finding, some
from lorry.weights.files.document import LARGEST_HEADER, read_document
from lorry.weights.files.source import ByteSource

__all__ = ["BITS", "LARGEST_HEADER", "Header", "Tensor", "read_header"]

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

_LARGEST = 2**63  # counts and offsets are below
_OVERFLOW = 2**64  # the library refuses a larger product, even when a later zero would undo it
_NAMED = 20  # tensors that a finding names at most; it always counts all of them
_SHOWN = 5  # of them in the sentence
_TAIL = 1 << 20  # bytes behind the last tensor that are looked at
_NO_SHAPE = (None,)  # a text, say; it may be as long as the header
_FIELDS = itemgetter("dtype", "shape", "data_offsets")


class Tensor(NamedTuple):
    """A tensor's entry: `begin` and `end` count from the start of the data.

    A tuple, as a file has thousands of them and a frozen dataclass takes three times as long to make.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def count(self) -> int:  # type: ignore[override]  # how many numbers, not how often one of the fields
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
        StructureFault: Every rule that the file breaks, as findings.
    """
    document = read_document(source)
    faults = _Faults()
    metadata = _metadata(document.fields.pop("__metadata__", None), faults)
    tensors, contiguous = _tensors(document.fields, faults)
    if not contiguous:
        tensors.sort(key=_by_bytes)
        tensors = _judge_coverage(tensors, faults)
    _judge_length(source, document.data_start, tensors, faults)
    if faults:
        raise StructureFault(*faults.findings())
    return Header(tuple(tensors), metadata, document.data_start)


@dataclass(slots=True)
class _Fault:
    """One code's tensors: the first with its sentence, the next by name, all by number."""

    sentence: str
    subject: str
    evidence: dict[str, Any]
    named: list[str] = field(default_factory=list)
    count: int = 0


class _Faults(dict[str, _Fault]):
    """What is wrong with the entries, by code, in the order of discovery."""

    holes = True  # whether a hole is a fault: not when an entry's own place is unknown
    length: Finding | None = None

    def add(self, code: str, name: str, sentence: str, **evidence: Any) -> None:
        name = some([name])
        known = self.setdefault(code, _Fault(sentence, name, evidence))
        known.count += 1
        if len(known.named) < _NAMED:
            known.named.append(name)

    def findings(self) -> list[Finding]:
        found = [] if self.length is None else [self.length]
        for code, known in self.items():
            thing = "field" if code == "META_NOT_STRING" else "tensor"
            evidence = {**known.evidence, f"{thing}s": known.named, "count": known.count}
            message = known.sentence + _and_more(known, thing)
            found.append(finding(code, message, subject=known.subject, **evidence))
        return found

    def __bool__(self) -> bool:
        return bool(len(self) or self.length)


def _and_more(known: _Fault, thing: str) -> str:
    rest, shown = known.count - 1, known.named[1:_SHOWN]
    if not rest:
        return ""
    beyond = f" and {rest - len(shown):,} more" if rest > len(shown) else ""
    return f" The same is wrong with {counted(rest, f'more {thing}')}: {', '.join(shown)}{beyond}."


def _metadata(value: object, faults: _Faults) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        message = f"The header's metadata is a {_kind(value)}."
        faults.add("META_NOT_STRING", "__metadata__", message)
        return {}
    for name, entry in value.items():
        if not isinstance(entry, str):
            message = f"The header's metadata {some([name])!r} is a {_kind(entry)}, not text."
            faults.add("META_NOT_STRING", name, message)
    return value


def _tensors(document: dict[str, Any], faults: _Faults) -> tuple[list[Tensor], bool]:
    """Make the tensors whose place is known; tell whether they lie one behind the other as listed."""
    tensors: list[Tensor] = []
    at, contiguous = 0, True
    for name, row in document.items():  # the tightest loop of a check: a file has thousands of rows
        tensor: Tensor | None = None
        try:
            dtype, shape, (begin, end) = _FIELDS(row)
            bits, size = BITS[dtype], tuple(shape) if type(shape) is list else _NO_SHAPE
            if len(size) == 2 and type(size[0]) is int is type(size[1]) and size[0] > 0 < size[1]:
                count = size[0] * size[1]
            else:
                count = _count(size)
            if (
                type(begin) is int is type(end)
                and 0 <= begin <= end < _LARGEST
                and count * bits == 8 * (end - begin)
            ):
                tensor = _make(Tensor, (name, dtype, size, begin, end))
        except (KeyError, TypeError, ValueError):
            pass  # an entry of another form
        if tensor is None:
            tensor = _judged(name, row, faults)
            contiguous = False
            if tensor is None:
                continue
        if tensor.begin != at:
            contiguous = False
        at = tensor.end
        tensors.append(tensor)
    return tensors, contiguous


def _count(shape: tuple[object, ...]) -> int:
    """Multiply the sizes of a shape; -1 when it is none, or overflows as the library counts."""
    count = 1
    for size in shape:
        if type(size) is not int or not 0 <= size < _LARGEST:  # True and 1.0 are no counts
            return -1
        count *= size
        if count >= _OVERFLOW:
            return -1
    return count


def _judged(name: str, row: Any, faults: _Faults) -> Tensor | None:
    """Say what is wrong with an entry; its tensor where at least its place is known."""
    told = some([name])
    if not isinstance(row, dict):
        faults.add("TENSOR_FIELDS", name, f"The entry of {told} is a {_kind(row)}.")
        faults.holes = False
        return None
    dtype: Any = row.get("dtype")
    shape: Any = row.get("shape")
    offsets: Any = row.get("data_offsets")
    fits = {
        "dtype": isinstance(dtype, str),
        "shape": _is_counts(shape),
        "data_offsets": _is_counts(offsets) and len(offsets) == 2,
    }
    wrong = [name for name, right in fits.items() if not right]
    if wrong:
        faults.add("TENSOR_FIELDS", name, f"{told} has no usable {' and '.join(wrong)}.", fields=wrong)
    if fits["dtype"] and dtype not in BITS:
        message = f"{told} has the data type {dtype[:40]!r}."
        faults.add("TENSOR_DTYPE", name, message, dtype=dtype[:40])
    if not fits["data_offsets"]:
        faults.holes = False
        return None
    begin, end = offsets
    if fits["dtype"] and dtype in BITS and fits["shape"]:
        _judge_size(name, dtype, shape, end - begin, faults)
    if end < begin:
        faults.holes = False
        return None
    return Tensor(name, str(dtype), (), begin, end)


def _judge_size(name: str, dtype: str, shape: list[int], given: int, faults: _Faults) -> None:
    count = _count(tuple(shape))
    needed = count * BITS[dtype]
    if count >= 0 and needed == 8 * given:
        return
    needed_bytes = f"{-(-needed // 8):,}" if 0 <= needed < _LARGEST else "more than 2^60"
    dimensions = str(shape) if len(shape) <= 8 else f"with {len(shape):,} dimensions"
    message = (
        f"{some([name])}, {dtype} {dimensions}, needs {needed_bytes} bytes; the header gives it {given:,}."
    )
    faults.add("TENSOR_SIZE", name, message, found=given)


def _judge_coverage(tensors: list[Tensor], faults: _Faults) -> list[Tensor]:
    """Look for holes and overlaps; gives the tensors whose place can be trusted."""
    end, before = 0, ""
    placed = []
    for tensor in tensors:
        name = some([tensor.name])
        if tensor.begin > end and faults.holes:
            message = f"{name} begins at byte {tensor.begin:,}, but the data before it ends at {end:,}."
            faults.add("TENSOR_OFFSET", tensor.name, message, expected=end, found=tensor.begin)
        elif tensor.begin < end:
            shared = min(end, tensor.end) - tensor.begin
            message = f"{name} shares {counted(shared, 'byte')} with {before}."
            if not shared:
                message = f"{name} has no bytes and lies inside {before}, at byte {tensor.begin:,}."
            faults.add("TENSOR_OVERLAP", tensor.name, message, other=before)
        else:
            placed.append(tensor)
        if tensor.end >= end:
            end, before = tensor.end, name
    return placed


def _judge_length(source: ByteSource, start: int, tensors: list[Tensor], faults: _Faults) -> None:
    expected = start + (tensors[-1].end if tensors else 0)
    if expected > source.size:
        percent = f"{100 * (expected - source.size) / expected:.3g}%"
        message = f"{source.name} has {source.size:,} of {expected:,} bytes: {percent} are missing."
        faults.length = finding("DATA_TRUNCATED", message, expected=expected, found=source.size)
    elif expected < source.size and set(faults) <= {"META_NOT_STRING", "TENSOR_DTYPE"}:
        # Behind other faults nobody knows where the data ends.
        faults.length = _trailing(source, expected)


def _trailing(source: ByteSource, expected: int) -> Finding:
    """Say whether what lies behind the last tensor is only zeros, which can be cut off without a loss."""
    extra = source.size - expected
    looked = min(extra, _TAIL, max(source.reach - expected, 0))
    zeros = looked > 0 and not source.read(expected, looked).strip(b"\0")
    if not looked:
        what = "they could not be looked at"
    elif looked < extra:
        what = f"the first {looked:,} of them are {'zeros' if zeros else 'no zeros'}"
    else:
        what = "zeros" if zeros else "not zeros"
    message = f"{source.name} has {counted(extra, 'byte')} after its last tensor ({what})."
    return finding(
        "DATA_TRAILING",
        message,
        mend=Mend.CONVERT if zeros else Mend.NO,
        expected=expected,
        found=source.size,
        zeros=zeros,
    )


_by_bytes = itemgetter(3, 4)
_make = tuple.__new__  # what a named tuple's constructor calls, without its detour through Python


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < _LARGEST for item in value)


def _kind(value: object) -> str:
    return {dict: "object", list: "list", str: "text", bool: "truth value", type(None): "null"}.get(
        type(value), "number"
    )
