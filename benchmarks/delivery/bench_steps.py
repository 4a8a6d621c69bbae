"""What a step of a delivery costs, beside plain DBOS over the same database in the same run.

    python benchmarks/delivery/bench_steps.py

The peer is a workflow of as many empty steps, its results kept with the same durability: SQLite with a
write-ahead log and `synchronous=FULL`, Postgres with its defaults. A delivery keeps more than its steps'
results: journal, placement, intents, lease. The platform is in memory and ready at once. Rounds of both
are interleaved, and the best of each counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ground import files_in, opened

from lorry.delivery.doubles import Ground
from lorry.delivery.durable import Runtime, Values
from tests.postgres import binaries, running_postgres

ROUNDS = 3
MODELS = 8


def main() -> None:
    """Time both over each database, and print the table."""
    print("| database | steps | DBOS alone, a step | a delivery, a step | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        _compare("SQLite", Path(folder), [None] * ROUNDS)
        postgres = binaries()
        if postgres is None:
            print("Postgres is not installed here.", file=sys.stderr)
            return
        with running_postgres(postgres) as server:
            names = [f"bench{number}" for number in range(ROUNDS)]
            server.run(*(f"CREATE DATABASE {name}" for name in names))
            _compare("Postgres", Path(folder), [server.address(name) for name in names])


def _compare(name: str, folder: Path, databases: Sequence[str | None]) -> None:
    plain, ours, steps = [], [], 0
    for number, database in enumerate(databases):
        place = folder / f"{name}-{number}"
        place.mkdir()
        seconds, steps = asyncio.run(_deliveries(place, database))
        ours.append(seconds)
        plain.append(asyncio.run(_plain(place, database, steps)))
    one, other = min(plain) / steps / MODELS * 1000, min(ours) / steps / MODELS * 1000
    print(f"| {name} | {steps} | {one:.1f} ms | {other:.1f} ms | {other / one:.1f}x |")


async def _deliveries(place: Path, database: str | None) -> tuple[float, int]:
    """Ship models one after the other; gives the seconds, and the durable steps of each."""
    home, ground = place / "home", Ground(looks=0)
    home.mkdir()
    files = files_in(place, MODELS + 1)
    async with opened(home, ground, database=database) as deliveries:
        runtime: Any = deliveries._runtime
        await deliveries.ship(files[-1], "warm")
        rows = await runtime._dbos.list_workflows_async()
        kept = await runtime._dbos.list_workflow_steps_async(rows[-1].workflow_id)
        began = time.perf_counter()
        for number, file in enumerate(files[:-1]):
            await deliveries.ship(file, f"m{number}")
        return time.perf_counter() - began, len(kept)


async def _plain(place: Path, database: str | None, steps: int) -> float:
    """Run workflows of empty steps one after the other; gives the seconds."""
    home = place / "plain"
    home.mkdir()

    async def nothing() -> Values:
        return {"done": True}

    async def body(runtime: Runtime, _: Values) -> Values:
        for number in range(steps):
            await runtime.step(f"step-{number}", nothing)
        return {}

    async with Runtime(home, {"plain": body}, "plain", database) as runtime:
        await (await runtime.start("plain", "warm-", {}))
        began = time.perf_counter()
        for _ in range(MODELS):
            await (await runtime.start("plain", "plain-", {}))
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
