"""Time the check of a 26 GB checkpoint in shards against the library's own look at it.

    python benchmarks/weights/bench_checkpoint.py

The shards are sparse files of the size and with the tensors of Llama 2 13B: headers are all that both
sides read. The peer is `safetensors.safe_open` over all shards, with every key and shape, and the index.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from safetensors import safe_open

from lorry.weights.checkpoint.check import Checkpoint, check_checkpoint, opener
from lorry.weights.checkpoint.index import find_checkpoint
from lorry.weights.origins.folder import FolderListing
from tests.weights.checkpoint.folders import INDEX, llama_weights, write_sparse

ROUNDS, SHARDS = 7, 6
LLAMA_13B = {"hidden": 5120, "feed": 13824, "layers": 40, "kv": 5120, "words": 32000}
PEER = "peer: safe_open, keys and shapes of all shards"
KEYS = "the same without shapes"


def main() -> None:
    """Write the checkpoint, run all rows in turn, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_sparse(folder, llama_weights(LLAMA_13B), SHARDS)
        print_table(folder, size)


def print_table(folder: Path, size: int) -> None:
    """Time each row and print it with its ratio to the peer."""
    rows: dict[str, Callable[[], object]] = {
        PEER: lambda: peer(folder, shapes=True),
        KEYS: lambda: peer(folder, shapes=False),
        "lorry: headers, index, configuration, family": lambda: lorry(folder),
    }
    first = time.perf_counter()
    found = lorry(folder)
    first = time.perf_counter() - first
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(ROUNDS):
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            best[name] = min(best[name], time.perf_counter() - start)
    print(f"\n{size:,} bytes of tensors, {found.tensors} tensors, {SHARDS} shards; best of {ROUNDS}")
    print(f"{'':<52}{'ms':>9}{'of the peer':>13}")
    for name, seconds in best.items():
        print(f"{name:<52}{1000 * seconds:>9.1f}{seconds / best[PEER]:>12.2f}x")
    print(f"{'lorry, the first time in a process':<52}{1000 * first:>9.1f}{first / best[PEER]:>12.2f}x")
    print(f"memory of it at the most: {memory(folder) / 1e6:.1f} MB")


def peer(folder: Path, *, shapes: bool) -> int:
    """Look at all shards with the library."""
    places = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    seen = 0
    for file in sorted(set(places.values())):
        with safe_open(folder / file, framework="numpy") as shard:
            for name in shard.keys():  # noqa: SIM118 - safe_open is no mapping
                seen += len(shard.get_slice(name).get_shape()) if shapes else 1
    return seen


def lorry(folder: Path) -> Checkpoint:
    """Check the folder."""
    listing = FolderListing(folder)
    files = find_checkpoint(listing)
    if files is None:
        raise SystemExit("no checkpoint was found")
    with ExitStack() as stack:
        return check_checkpoint(listing, files, opener(folder, stack))


def memory(folder: Path) -> int:
    """Measure the largest memory that Python's objects take during a check, in bytes."""
    tracemalloc.start()
    lorry(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
