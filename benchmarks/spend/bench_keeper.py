"""What the keeper's policies cost beside those of others, and what a pass over a thousand placements takes.

    python benchmarks/spend/bench_keeper.py

The month is the one of `tests/spend/test_month.py`: two hundred models, nine busy hours a day, half of them
not at weekends. Peers are fixed idle times, as others have them: Together's `scaleToZeroWindow`, its
`inactiveTimeout` (at least 30 minutes, Together API dossier 2.7), and the 15 minutes and the hour that
Hugging Face's Inference Endpoints offer. All are replayed on the same requests at the same price.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("LORRY_MONTH_MODELS", "200")

from lorry.spend.keeper import Keeper  # noqa: E402
from lorry.spend.learning import compare  # noqa: E402
from lorry.spend.matching import Defaults  # noqa: E402
from lorry.spend.replay import Ground  # noqa: E402
from lorry.store import open_store  # noqa: E402
from tests.spend.ground import Told  # noqa: E402
from tests.spend.test_month import CENTS, MODELS, STARTING, WAIT_SHARE, Month, traffic_of  # noqa: E402
from tests.spend.world import Memory, World  # noqa: E402


def main() -> None:
    """Print the tables."""
    policies()
    asyncio.run(month())
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(passes(Path(folder)))


def policies() -> None:
    """Replay the month under each policy."""
    dice = random.Random(7)  # noqa: S311 - a simulation
    traffic = {f"m{number:03}": traffic_of(dice) for number in range(MODELS)}
    rows = compare(traffic, Ground(CENTS, STARTING, 60.0), WAIT_SHARE)
    best = rows[-1][1].cents
    print(f"\n## A month of {MODELS} models, {sum(map(len, traffic.values())):,} requests\n")
    print("| policy | cost | times the optimum | starts | requests that waited |\n|---|---|---|---|---|")
    for name, found in rows:
        cells = (
            name, f"${found.cents / 100:,.0f}", f"{found.cents / best:.2f}", f"{found.starts:,}",
            f"{found.wait_share:.2%}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


async def month() -> None:
    """Run the keeper itself over the month, with its faults."""
    from lorry.spend.replay import optimum, total
    from tests.spend.test_month import DAYS, DEAD, EVERY, GROUND

    at = Month()
    for number in range(int(DAYS * 86400 / EVERY) + 12):
        at.ask_until((number + 1) * EVERY)
        await at.trouble(number)
        if number not in DEAD:
            await at.keeper.once()
    bill = at.world.minutes() * CENTS / 60
    best = total(optimum(each, int(WAIT_SHARE * len(each)), GROUND) for each in at.traffic.values())
    print(
        f"\nThe keeper itself over that month, a pass every {EVERY / 60:.0f} minutes, with its faults: "
        f"${bill / 100:,.0f}, {bill / best.cents:.3f} times that optimum."
    )


async def passes(folder: Path) -> None:
    """Time passes over a thousand placements, without the network."""
    world, memory = World(STARTING), Memory()
    async with open_store(folder) as store:
        for number in range(1000):
            model = f"m{number:04}"
            name = memory.place(model, None)
            memory.place(model, world.create(name).id)
            await store.save_model(memory.models[model], memory.placements[model])
        world.clock = 600.0

        async def fleets() -> list[World]:
            return [world]

        async def books() -> object:
            return store.books

        keeper = Keeper(fleets, books, Told(), Defaults(), world.now)  # type: ignore[arg-type]
        await keeper.once()
        took = []
        for _ in range(5):
            world.clock += 60.0
            world.calls.clear()
            began = time.perf_counter()
            await keeper.once()
            took.append(time.perf_counter() - began)
    print(
        f"\nA pass over 1,000 placements that run, with SQLite and without the network: "
        f"{statistics.median(took) * 1000:.0f} ms; asked of the platform: {dict(world.calls)}."
    )


if __name__ == "__main__":
    main()
