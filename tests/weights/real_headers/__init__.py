"""Headers of published files, stripped to names and shapes, with their source and the answer expected.

A fixture names tensors by pattern: `[0-18]` stands for the numbers, so that a file of a thousand tensors is a
page to read. The numbers themselves are left out; where a source does not record data types, BF16 is assumed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorry.model.report import WeightsReport
from lorry.weights.judging.context import Context
from lorry.weights.preflight import inspect

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
_SPAN = re.compile(r"\[([\d,-]+)\]")


@dataclass(frozen=True, slots=True)
class HeaderOnly:
    """A file of which only the header was kept; it is as long as the header says."""

    name: str
    header: bytes
    data: int

    @property
    def size(self) -> int:
        """Bytes in all, as the header says."""
        return len(self.header) + self.data

    @property
    def reach(self) -> int:
        """Bytes that were kept."""
        return len(self.header)

    def read(self, offset: int, count: int) -> bytes:
        """Read a slice of the header."""
        return self.header[offset : offset + count]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Copy a slice of the header."""
        piece = self.read(offset, len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


@dataclass(frozen=True)
class RealHeader:
    """A fixture and what the check says of it."""

    name: str
    document: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    report: WeightsReport

    @property
    def expected(self) -> Mapping[str, Any]:
        """The answer that the fixture expects."""
        found: Mapping[str, Any] = self.document["expect"]
        return found


def read(name: str) -> RealHeader:
    """Read a fixture and check it, header only.

    Args:
        name: Its name without `.json`.
    """
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    shapes = dict(_expanded(document["tensors"]))
    header: dict[str, Any] = {"__metadata__": document["metadata"]} if document["metadata"] else {}
    end = 0
    for tensor, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[tensor] = {"dtype": document["dtype"], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text
    told = inspect(HeaderOnly(name, content, end), Context(name, f"{name}.safetensors"), values=False)
    return RealHeader(name, document, shapes, told)


def _expanded(patterns: Mapping[str, list[int]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for pattern, shape in patterns.items():
        spans = _SPAN.search(pattern)
        if spans is None:
            yield pattern, tuple(shape)
            continue
        for span in spans[1].split(","):
            low, _, high = span.partition("-")
            for number in range(int(low), int(high or low) + 1):
                yield f"{pattern[: spans.start()]}{number}{pattern[spans.end() :]}", tuple(shape)
