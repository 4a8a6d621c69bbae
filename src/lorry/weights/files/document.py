"""Read the JSON text of a safetensors header, within bounds of size and memory.

The text is counted before it is parsed: a header of a few megabytes can describe millions of things, and
each of them takes some hundred bytes once it is a Python object.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from lorry.weights.catalogue import StructureFault, counted, fault, finding, some
from lorry.weights.files.source import ByteSource

LARGEST_HEADER = 100_000_000  # bytes; the safetensors library's own limit (dossier LoRA formats, section 2.1)
#: Bytes of a header that are read at most: huggingface_hub's own cap (dossier LoRA formats, section 3.1).
LARGEST_READ = 25_000_000
#: Bytes that a header may take in memory, estimated: above 100,000 tensors, so that the adapters of
#: large mixtures of experts still fit (256 experts of 3 matrices in 58 layers are 89,000 tensors).
LARGEST_IN_MEMORY = 170_000_000
#: Bytes of memory for each sign of JSON, measured on CPython 3.11: an object, a list, an item, a field. They
#: are right for the smallest things that can be listed, and too high for a row of a tensor by half.
_COSTS = {b"{": 240, b"[": 90, b",": 80, b":": 200}
_IN_ROWS, _SHORT = 3, 60  # so many fields of an object find room in it and cost only their names
_COPIES = 3  # of each letter: the text, the strings cut from it, and those of them that are looked through
_COSTLIEST = max(_COSTS.values()) + _COPIES * 4  # bytes of memory for one byte of text, at most
_DEEPEST = 127  # levels; the library's own limit (serde_json), which lets no header of it be deeper


@dataclass(frozen=True, slots=True)
class Document:
    """A header's JSON object, and where the data starts in the file."""

    fields: dict[str, Any]
    data_start: int


def read_document(source: ByteSource) -> Document:
    """Read the header's length and its JSON.

    Args:
        source: The file.

    Raises:
        StructureFault: It is no JSON object that could be a header, or larger than any.
    """
    length = _length(source)
    buffer = bytearray(length)
    if source.read_into(8, memoryview(buffer)) < length:
        raise fault("FILE_CHANGED", f"{source.name} ended inside its header while it was read.")
    colons = _require_room(source, buffer)
    try:
        text = buffer.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The header of {source.name} is no UTF-8 text from its byte {error.start:,} on."
        raise fault("HDR_UTF8", message, byte=error.start) from None
    del buffer
    return Document(_parsed(source, text, colons), 8 + length)


def _length(source: ByteSource) -> int:
    prefix = source.read(0, 8)
    if len(prefix) < 8:
        message = f"{source.name} has {source.size} bytes; the shortest safetensors file has 10."
        raise fault("HDR_TRUNCATED", message, size=source.size)
    length = int.from_bytes(prefix, "little")
    if length > LARGEST_HEADER:
        message = f"The first 8 bytes of {source.name} announce a header of {length:,} bytes."
        raise fault("HDR_TOO_LARGE", message, header=length, limit=LARGEST_HEADER)
    if 8 + length > source.size:
        message = (
            f"The header of {source.name} has {length:,} bytes, but the file ends after {source.size:,}."
        )
        raise fault("HDR_TRUNCATED", message, header=length, size=source.size)
    if length > LARGEST_READ:
        message = f"The header of {source.name} has {length:,} bytes; at most {LARGEST_READ:,} are read."
        raise fault("HDR_OVERSIZED", message, header=length, limit=LARGEST_READ)
    return length


def _require_room(source: ByteSource, buffer: bytearray) -> int:
    """Refuse what would not fit into memory, by counting alone; gives the number of colons."""
    if len(buffer) * _COSTLIEST <= LARGEST_IN_MEMORY:
        return buffer.count(b":")
    counts = {sign: buffer.count(sign) for sign in _COSTS}
    in_rows = min(counts[b":"], _IN_ROWS * counts[b"{"])
    needed = sum(_COSTS[sign] * count for sign, count in counts.items()) - (_COSTS[b":"] - _SHORT) * in_rows
    needed += _COPIES * _width(buffer) * len(buffer)
    if needed > LARGEST_IN_MEMORY:
        things = counts[b","] + counts[b"["] + counts[b"{"]
        message = (
            f"The header of {source.name} has {len(buffer):,} bytes and lists up to {things:,} things; "
            f"that would take some {needed / 1e6:,.0f} MB of memory, and at most "
            f"{LARGEST_IN_MEMORY / 1e6:,.0f} are given to it."
        )
        raise fault(
            "HDR_OVERSIZED",
            message,
            header=len(buffer),
            things=things,
            memory=needed,
            limit=LARGEST_IN_MEMORY,
        )
    return counts[b":"]


def _width(buffer: bytearray) -> int:
    """Give the bytes for one letter in memory: Python stores a text as wide as its widest letter."""
    if b"\\u" in buffer:
        return 4  # an escape can stand for any letter
    if buffer.isascii():
        return 1
    return 4 if any(lead in buffer for lead in range(0xF0, 0xF5)) else 2


def _parsed(source: ByteSource, text: str, colons: int) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if isinstance(document, dict) and not _plain(text, document, colons):
            del document  # there is room for one
            document = _parsed_carefully(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"The header of {source.name} is no JSON: {error.msg} at {place}."
        raise fault("HDR_JSON", message, line=error.lineno, column=error.colno) from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, a constant that is no JSON, half a letter, or nesting beyond all
        # measure.
        message = f"The header of {source.name} is no JSON that describes tensors."
        raise fault("HDR_JSON", message) from None
    if not isinstance(document, dict):
        raise fault("HDR_JSON", f"The header of {source.name} is JSON, but no object.")
    return document


def _plain(text: str, document: dict[str, Any], colons: int) -> bool:
    """Tell in a few counts that no key was said twice and that nothing is in the text but what was parsed.

    Each field of the text has one colon, and every other colon is inside a string. When the colons of the
    text are those of the fields and strings that came out of the parser, no field was swallowed by a later
    one of the same name. A colon can also be written as an escape; then the slow way decides, as it does
    for rows with more fields than the three that are judged later.
    """
    # One sign is found much faster than two, and most headers have neither.
    if ("\\" in text and "\\u" in text) or ("-" in text and "-0" in text):
        return False
    try:
        metadata = document.get("__metadata__") or {}
        rows = len(document) - ("__metadata__" in document)
        fields = sum(map(len, filter(None, document.values())))
        inside = "".join(document).count(":") + "".join(metadata).count(":")
        inside += sum(value.count(":") for value in metadata.values())
    except (AttributeError, TypeError):
        return False  # rows or metadata of other kinds; they are judged later
    return fields == 3 * rows + len(metadata) and colons == len(document) + fields + inside


def _parsed_carefully(text: str) -> dict[str, Any]:
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(found)
        if len(document) < len(found):
            seen: set[str] = set()
            twice.extend(name for name, _ in found if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        "".join(document).encode()  # half a surrogate pair is no text: UnicodeEncodeError, a ValueError
        "".join(value for value in document.values() if isinstance(value, str)).encode()
        return document

    document: dict[str, Any] = json.loads(
        text,
        object_pairs_hook=pairs,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_integer,
    )
    _require_shallow(document)
    if twice:
        more = f"; so are {counted(len(twice) - 1, 'more key')}" if len(twice) > 1 else ""
        message = f"The header names {some(twice[:1])!r} twice{more}."
        found = finding(
            "HDR_DUPLICATE_KEY", message, subject=some(twice[:1]), keys=twice[:20], count=len(twice)
        )
        raise StructureFault(found)
    return document


def _require_shallow(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError("nested too deep")


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _integer(text: str) -> int:
    if text == "-0":
        raise ValueError(text)  # a float to every other reader
    return int(text)
