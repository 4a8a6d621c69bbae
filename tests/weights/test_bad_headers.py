"""Headers made to exhaust whoever reads them: each is refused with its code, within a bound of memory."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.weights.files.document import LARGEST_READ
from tests.weights.files import raw

ALLOWED = 256_000_000  # bytes; of the whole process

_SCRIPT = """
import re, sys
from pathlib import Path
from lorry.weights import check
report = check(Path(sys.argv[1]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print([found.code for found in report.findings], int(peak[1]) * 1024)
"""


def rows(count: int, row: str, name: str = "a%d") -> bytes:
    """Write a header of many equal entries."""
    return ("{" + ",".join(f'"{name % place}":{row}' for place in range(count)) + "}").encode()


def filled(before: bytes, unit: bytes, after: bytes, size: int = LARGEST_READ) -> bytes:
    """Repeat something until a header has about a size."""
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


_ROW = '{"dtype":"U8","shape":[],"data_offsets":[0,0]}'
_MODULE = "base_model.model.model.layers.1.mlp.experts.%d.up_proj.lora_{}.weight"
_HALF = '{"dtype":"BF16","shape":[0,2048],"data_offsets":[0,0]}'
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a header of 99 MB": ("HDR_OVERSIZED", lambda: raw(b"{}".ljust(99_000_000))),
    "a header of 2^40 bytes": ("HDR_TOO_LARGE", lambda: raw(b"{}", length=1 << 40)),
    "25 MB of spaces": ("LORA_NO_TENSORS", lambda: raw(b"{}".ljust(LARGEST_READ))),
    "25 MB of metadata": (
        "LORA_NO_TENSORS",
        lambda: raw(filled(b'{"__metadata__":{"a":"', b"x", b'"}}')),
    ),
    "one wide letter in 14 MB": (
        "LORA_NO_TENSORS",
        lambda: raw(filled('{"__metadata__":{"a":"\U0001f600'.encode(), b"x", b'"}}', 14_000_000)),
    ),
    "one escaped wide letter in 14 MB": (
        "LORA_NO_TENSORS",
        lambda: raw(filled(b'{"__metadata__":{"a":"\\ud83d\\ude00', b"x", b'"}}', 14_000_000)),
    ),
    "half a million keys": ("TENSOR_FIELDS", lambda: raw(rows(500_000, "1"))),
    "a million and a half keys": ("HDR_OVERSIZED", lambda: raw(rows(1_500_000, "1"))),
    "100,000 tensors": ("TENSOR_SIZE", lambda: raw(rows(100_000, _ROW))),
    "100,000 matrices of modules": (
        "PAIR_MISSING",
        lambda: raw(rows(100_000, _HALF, _MODULE.format("A"))),
    ),
    "millions of lists": ("HDR_OVERSIZED", lambda: raw(filled(b'{"a":[', b"[],", b"[]]}"))),
    "lists just below the limit": (
        "TENSOR_FIELDS",
        lambda: raw(filled(b'{"a":[', b"[],", b"[]]}", 2_800_000)),
    ),
    "numbers just below the limit": (
        "TENSOR_FIELDS",
        lambda: raw(filled(b'{"a":[', b"77777,", b"7]}", 10_000_000)),
    ),
    "texts just below the limit": (
        "TENSOR_FIELDS",
        lambda: raw(filled(b'{"a":[', b'"ab",', b'""]}', 8_500_000)),
    ),
    "a number of 20 million digits": ("HDR_JSON", lambda: raw(b'{"a":' + b"9" * 20_000_000 + b"}")),
    "a text of 24 MB for a shape": (
        "TENSOR_FIELDS",
        lambda: raw(filled(b'{"a":{"dtype":"U8","shape":"', b"x", b'","data_offsets":[0,0]}}')),
    ),
    "a text of 24 MB for offsets": (
        "TENSOR_FIELDS",
        lambda: raw(filled(b'{"a":{"dtype":"U8","shape":[],"data_offsets":"', b"x", b'"}}')),
    ),
    "nesting without end": ("HDR_JSON", lambda: raw(b'{"a":' * 400_000)),
    "names of a megabyte": (
        "TENSOR_SIZE",
        lambda: raw(rows(20, _ROW, "n" * 1_000_000 + "%d")),
    ),
    "an adapter configuration of nothing but lists": (
        "META_JSON",
        lambda: raw(
            json.dumps(
                {
                    "__metadata__": {"lora_adapter_metadata": "[" * 500_000},
                    "a.lora_A.weight": {"dtype": "U8", "shape": [0, 1], "data_offsets": [0, 0]},
                }
            ).encode()
        ),
    ),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_no_header_takes_more_memory_than_it_is_given(name: str, tmp_path: Path) -> None:
    """A check of a file made to exhaust memory ends with its code, below 256 MB for the whole process."""
    code, make = BOMBS[name]
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(make())
    command = [sys.executable, "-c", _SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes, _, peak = done.stdout.strip().rpartition(" ")
    assert code in ast.literal_eval(codes)
    assert int(peak) < ALLOWED


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """A file of 512 MB, holes on the disk, is read to its last byte below 100 MB for the whole process."""
    size = 1 << 29
    header = json.dumps(
        {
            "transformer.x_embedder.lora_A.weight": {
                "dtype": "BF16",
                "shape": [16, size // 32],
                "data_offsets": [0, size],
            }
        }
    ).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(raw(header))
        file.truncate(8 + len(header) + size)
    command = [sys.executable, "-c", _SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes, _, peak = done.stdout.strip().rpartition(" ")
    assert "VAL_ZERO_TAIL" in ast.literal_eval(codes)
    assert int(peak) < 100_000_000
