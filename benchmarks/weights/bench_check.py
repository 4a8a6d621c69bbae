"""How long `lorry check` takes, against reading the same file with safetensors and looking with numpy.

    python benchmarks/weights/bench_check.py

A synthetic FLUX.1 LoRA of rank 16 (494 modules, 988 tensors) is written once in float16 and once in float32.
The peer does the part of the job that loaders could do today: `safetensors.numpy.load_file`, then
`np.isfinite(tensor).all()` for each tensor; it judges nothing else, and the second row
adds the digest that `lorry check` computes in the same pass. Every row is the
best of several rounds, interleaved, so that a busy machine disturbs all rows alike.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from lorry.weights import check, family
from lorry.weights.bases.families import layer_names
from lorry.weights.files.header import read_header
from lorry.weights.files.source import FileSource
from lorry.weights.files.values import scan
from lorry.weights.preflight import Context, inspect

ROUNDS = 7
RANK = 16
PEER = "peer: safetensors load_file + np.isfinite"


def main() -> None:
    """Write the files, run all rows in turn, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        for dtype, kind in (("F16", np.float16), ("F32", np.float32)):
            path = Path(folder) / f"flux1-{dtype}.safetensors"
            write_lora(path, dtype, kind)
            print_table(path, dtype)
            path.unlink()


def write_lora(path: Path, dtype: str, kind: type[np.floating]) -> None:
    """Write a sound LoRA over all block layers of FLUX.1."""
    known = family("flux1")
    if known is None:
        raise SystemExit("the table of FLUX.1 is missing")
    layers = [layer for layer in layer_names(known) if "blocks." in layer[0]]
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data, end = [], 0
    numbers = np.random.default_rng(7)
    for name, inputs, outputs in layers:
        for matrix, shape in (("lora_A", (RANK, inputs)), ("lora_B", (outputs, RANK))):
            values = numbers.normal(0, 0.02, shape).astype(kind).tobytes()
            begin, end = end, end + len(values)
            header[f"transformer.{name}.{matrix}.weight"] = {
                "dtype": dtype,
                "shape": shape,
                "data_offsets": [begin, end],
            }
            data.append(values)
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(data)


def print_table(path: Path, dtype: str) -> None:
    """Time each row on one file and print it with its ratio to the peer."""
    rows: dict[str, Callable[[], object]] = {
        PEER: lambda: peer(path),
        "peer, and hashlib.sha256 of the file": lambda: (peer(path), digest(path)),
        "header only: everything but the numbers": lambda: header_only(path),
        "every number, and SHA-256": lambda: numbers_only(path),
        "lorry check (all of it)": lambda: check(path),
    }
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(ROUNDS):
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            best[name] = min(best[name], time.perf_counter() - start)
    against = best[PEER]
    print(f"\n{dtype}, {path.stat().st_size:,} bytes, 988 tensors; best of {ROUNDS}")
    print(f"{'':<44}{'ms':>9}{'of the peer':>13}")
    for name, seconds in best.items():
        print(f"{name:<44}{1000 * seconds:>9.1f}{seconds / against:>12.2f}x")


def peer(path: Path) -> bool:
    """Load with the library and look at every number with numpy."""
    return all(bool(np.isfinite(tensor).all()) for tensor in load_file(path).values())


def digest(path: Path) -> str:
    """Hash the file as the standard library does it best."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def header_only(path: Path) -> object:
    """Run the check without the numbers."""
    with FileSource(path) as source:
        return inspect(source, Context(str(path), str(path)), values=False)


def numbers_only(path: Path) -> object:
    """Run the pass over the data alone."""
    with FileSource(path) as source:
        return scan(source, read_header(source))


if __name__ == "__main__":
    main()
