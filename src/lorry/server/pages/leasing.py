"""What bills by the hour, as pages tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lorry.model.billing import Lease
from lorry.server.rooms import Rooms


async def leases_told(rooms: Rooms, wanted: Callable[[Lease], bool]) -> list[dict[str, Any]]:
    """List until when things may run, with what runs of each and what that costs an hour.

    Args:
        rooms: What the server works with.
        wanted: Says which are listed.

    Returns:
        Leases as data. `cents_per_hour` is `None` where nothing runs; `price_known` says whether anybody
        tells what it costs.
    """
    mine = [each for each in await rooms.money.leases() if wanted(each)]
    runs = {run.object: run for run in await rooms.money.open_runs()} if mine else {}
    found = []
    for lease in mine:
        run = runs.get(lease.object)
        found.append(
            {
                **lease.as_dict(),
                "replicas": run.replicas if run else 0,
                "hardware": run.hardware if run else None,
                "cents_per_hour": (run.cents_per_hour or 0.0) * run.replicas if run else None,
                "price_known": run is None or run.cents_per_hour is not None,
            }
        )
    return found
