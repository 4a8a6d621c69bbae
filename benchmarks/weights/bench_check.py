"""How long a check takes, against a copy of the file in memory and against loading it and asking torch.

    python benchmarks/weights/bench_check.py [rounds]

A synthetic FLUX.1 LoRA of rank 16 in bfloat16 is written: 494 modules, 988 tensors, 172 MB, with the header
as trainers write it. All rows are timed in turn, several rounds, and each gives its best time, so that a busy
machine disturbs them alike; the file is in the page cache. The rows:

- memcpy: `numpy.copyto` between two buffers of the file's size, both touched before; and the same into
  memory that is fresh from the system, as every loader has it.
- read: nothing but the reading of the file into one small buffer.
- header tier: the header read, its offsets, coverage and duplicate keys judged, names taken apart into
  modules, both matrices of each found, their ranks compared.
- header judgement: all that a check says without the numbers, the base model and the strength included.
- header and numbers: the header tier, then every number looked at (NaN, infinity, zeros, giants).
- the same beside SHA-256: as `lorry check` does it, with the hash in a thread of its own.
- peer: `safetensors.torch.load_file`, then `torch.isfinite(tensor).all()` for each tensor.
- whole process: `python -m lorry check FILE` from start to exit, report printed; and Python doing nothing.
"""

from __future__ import annotations

import compileall
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lorry
from lorry.weights import family
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.adapter.structure import pair_findings, rank_findings
from lorry.weights.bases.families import layer_names
from lorry.weights.files.header import Header, read_header
from lorry.weights.files.source import FileSource
from lorry.weights.files.values import look, scan
from lorry.weights.preflight import Context, inspect

ROUNDS = 15
RANK = 16
MEMCPY, PEER, PROCESS = "memcpy of the file", "peer: load_file + torch.isfinite", "whole process: lorry check"
#: What was promised: row, the row that it is compared with, and the most (or least) that it may be of it.
PROMISES = (
    ("header tier", None, 2.0, "at most 2 ms"),
    ("header and numbers", MEMCPY, 1.2, "at most 1.2 of a memcpy"),
    ("header and numbers", PEER, 1 / 30, "30 times faster than the peer"),
    (PROCESS, None, 200.0, "at most 200 ms"),
)


def main() -> None:
    """Write the file, run all rows in turn, and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    compileall.compile_dir(Path(lorry.__file__).parent, quiet=2)  # as an installed package is
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flux1.safetensors"
        write_lora(path)
        best = measure(rows(path), rounds)
        print_table(path, best, rounds)


def write_lora(path: Path) -> None:
    """Write a sound LoRA over all block layers of FLUX.1 in bfloat16."""
    known = family("flux1")
    if known is None:
        raise SystemExit("the table of FLUX.1 is missing")
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data, end = [], 0
    numbers = np.random.default_rng(7)
    for name, inputs, outputs in (layer for layer in layer_names(known) if "blocks." in layer[0]):
        for matrix, shape in (("lora_A", (RANK, inputs)), ("lora_B", (outputs, RANK))):
            single = numbers.normal(0, 0.02, shape).astype(np.float32)
            values = (single.view(np.uint32) >> 16).astype(np.uint16).tobytes()
            begin, end = end, end + len(values)
            header[f"transformer.{name}.{matrix}.weight"] = {
                "dtype": "BF16",
                "shape": shape,
                "data_offsets": [begin, end],
            }
            data.append(values)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(data)


def rows(path: Path) -> dict[str, Callable[[], object]]:
    """Give each row's work by its name."""
    file = np.fromfile(path, np.uint8)
    copy = np.empty_like(file)
    made: dict[str, Callable[[], object]] = {
        MEMCPY: lambda: np.copyto(copy, file),
        "memcpy into fresh memory": lambda: np.copyto(np.empty_like(file), file),
        "reading the file, nothing else": lambda: read(path),
        "header tier": lambda: several(lambda: header_tier(path)),
        "header judgement, with the base model": lambda: several(lambda: header_judgement(path)),
        "header and numbers": lambda: header_and_numbers(path),
        "the same beside SHA-256": lambda: numbers_and_digest(path),
    }
    peer = peer_row(path)
    if peer is not None:
        made[PEER] = peer
    made["Python that does nothing"] = lambda: process("-c", "pass")
    made[PROCESS] = lambda: process("-m", "lorry", "check", str(path))
    return made


def several(work: Callable[[], object]) -> float:
    """Do something short ten times; gives the best time in seconds."""
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def read(path: Path) -> None:
    """Read the file into one small buffer."""
    buffer = memoryview(bytearray(1 << 19))
    with FileSource(path) as source:
        for offset in range(0, source.size, len(buffer)):
            source.read_into(offset, buffer)


def header_tier(path: Path) -> Header:
    """Read and judge the header as far as no base model is needed."""
    with FileSource(path) as source:
        header = read_header(source)
        adapter = read_adapter(header)
        if [*pair_findings(adapter), *rank_findings(adapter)]:
            raise SystemExit("the file is not sound")
        return header


def header_judgement(path: Path) -> object:
    """Run the check without the numbers."""
    with FileSource(path) as source:
        return inspect(source, Context(str(path), str(path)), values=False)


def header_and_numbers(path: Path) -> object:
    """Run the header tier and look at every number."""
    header = header_tier(path)
    with FileSource(path) as source:
        return look(source, header)


def numbers_and_digest(path: Path) -> object:
    """Look at every number while the file is hashed."""
    header = header_tier(path)
    with FileSource(path) as source:
        return scan(source, header)


def peer_row(path: Path) -> Callable[[], object] | None:
    """Load with the library and ask torch about every number; `None` without torch."""
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError:
        print("torch is not installed, so there is no peer (the dev extra brings it)")
        return None
    return lambda: all(bool(torch.isfinite(tensor).all()) for tensor in load_file(path).values())


def process(*arguments: str) -> None:
    """Run Python with some arguments, from start to exit."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=environment)


def measure(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Time all rows in turn and keep the best of each, in milliseconds."""
    best = dict.fromkeys(work, float("inf"))
    gc.collect()
    gc.freeze()  # the collector would walk through all of torch, which no check has in its memory
    for _ in range(rounds):
        for name, row in work.items():
            start = time.perf_counter()
            told = row()
            took = told if isinstance(told, float) else time.perf_counter() - start
            best[name] = min(best[name], 1000 * took)
    return best


def print_table(path: Path, best: dict[str, float], rounds: int) -> None:
    """Print every row with its ratios, then what was promised."""
    print(f"\n{path.stat().st_size:,} bytes, 988 tensors, BF16; best of {rounds}, in turn\n")
    print(f"| {'':<38} | {'ms':>8} | {'of a memcpy':>11} | {'than the peer':>15} |")
    print(f"|{'-' * 40}|{'-' * 9}:|{'-' * 12}:|{'-' * 16}:|")
    for name, took in best.items():
        faster = f"{best[PEER] / took:,.1f} x faster" if PEER in best else ""
        print(f"| {name:<38} | {took:>8.2f} | {took / best[MEMCPY]:>11.2f} | {faster:>15} |")
    print()
    for name, against, most, words in PROMISES:
        if against is None or against in best:
            found = best[name] / (best[against] if against else 1)
            print(f"{'kept' if found <= most else 'NOT KEPT':<9} {name}: {words} ({found:.3g})")


if __name__ == "__main__":
    main()
