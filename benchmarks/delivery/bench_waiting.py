"""A thousand deliveries that wait, in one process: memory, looks, and how late "ready" is noticed.

    python benchmarks/delivery/bench_waiting.py [DELIVERIES] [SECONDS]

Each goes its whole way over the real store and the real durable runtime, both SQLite; the platform is in
memory, where deployments get ready by the clock: the first after SECONDS (240), the last after half as
long again.
What is measured is our own lateness and our own memory: the platform answers at once and without a limit.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

from ground import Clocked, clocked_platform, files_in, opened, share

from lorry.delivery.doubles import Ground


def main(count: int, seconds: float) -> None:
    """Ship them all at once, wait for all, and print the table."""
    takes = {f"m{number}": seconds * (1 + number / count / 2) for number in range(count)}
    clocked = Clocked(lambda name: takes[name.split("-")[1]])
    with tempfile.TemporaryDirectory() as folder:
        before, most, spent = asyncio.run(_ship(Path(folder), clocked, count))
    late = [stage.late for stage in clocked.stages.values() if stage.late is not None]
    shares = [stage.late / stage.takes for stage in clocked.stages.values() if stage.late is not None]
    allowed = [max(2.0, 0.05 * stage.takes) for stage in clocked.stages.values()]
    kept = sum(was <= may for was, may in zip(late, allowed, strict=True)) / len(late)
    made = max(stage.began for stage in clocked.stages.values())
    quiet = [at for at in clocked.looks if made <= at <= made + 60]
    print("| deliveries | memory | per delivery | looks a minute, all waiting | ready noticed late p50 | p95 "
          "| within what is allowed | CPU |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    print(
        f"| {count:,} | {most:.0f} MB | {(most - before) / count * 1000:.0f} kB | {len(quiet):,} "
        f"| {share(late, 0.5):.1f} s, {share(shares, 0.5):.1%} | {share(late, 0.95):.1f} s, "
        f"{share(shares, 0.95):.1%} | {kept:.1%} | {spent:.0f} s |"
    )


async def _ship(folder: Path, clocked: Clocked, count: int) -> tuple[float, float, float]:
    home, ground = folder / "home", Ground()
    home.mkdir()
    files = files_in(folder, count)
    async with opened(home, ground, clocked_platform(ground, clocked)) as deliveries:
        gc.collect()
        before = most = _resident()
        cpu = time.process_time()
        shipping = [
            asyncio.create_task(deliveries.ship(file, f"m{number}")) for number, file in enumerate(files)
        ]
        while any(not task.done() for task in shipping):
            await asyncio.sleep(0.5)
            most = max(most, _resident())
        await asyncio.gather(*shipping)
        return before, most, time.process_time() - cpu


def _resident() -> float:
    """Give the memory that this process holds, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, float(sys.argv[2]) if len(sys.argv) > 2 else 240.0)
