"""One line at the end of a training script."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lorry.api import Lorry
from lorry.errors import SourceNotFound
from lorry.model.batch import name_from
from lorry.model.events import Event
from lorry.model.forecast import Price
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.model.placement import Placement
from lorry.settings import Settings
from lorry.training.naming import under_a_free_name

_LOG = logging.getLogger("lorry.training")

#: What launchers number the processes of a training by (torchrun and accelerate, Slurm, MPI); 0 is the first.
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def ship_trained(
    source: str | Path,
    name: str | None = None,
    *,
    route: str = "local",
    rehearse: bool | None = None,
    options: ShipOptions = DEFAULT_OPTIONS,
    agree: bool = False,
    hand_over: bool = False,
    settings: Settings | None = None,
) -> Placement | None:
    """Ship what a training has just saved, and wait until it answers.

    In a training over several processes only the first one ships.

    Args:
        source: The folder that the training saved into, or the file.
        name: Lorry's name of the model. When omitted it is made of the folder's or the file's, and counted
            up where that belongs to other weights: training again gives a new model.
        route: Where it goes, one of `lorry.platforms.profiles.ROUTES`.
        rehearse: Whether the embedded engine plays the platform; as set when omitted.
        options: Choices beyond the route's defaults.
        agree: Whether something may be started that bills.
        hand_over: Only check it and write it down, for a `lorry worker`.
        settings: As read from the environment when omitted.

    Returns:
        Where it is; `None` in all processes but the first.

    Raises:
        LorryError: It could not be shipped; what was trained lies where it was saved.
    """
    if any(os.environ.get(rank, "0") != "0" for rank in _RANKS):
        return None
    place = Path(source).resolve()
    there = place.exists()

    async def ship() -> Placement:
        if not there:
            raise SourceNotFound(f"The training saved nothing at {place}.", evidence={"source": str(place)})
        async with Lorry(settings, listen=_told) as lorry:
            act = lorry.submit if hand_over else lorry.ship
            shipped: list[Placement] = []

            async def under(chosen: str) -> None:
                shipped.append(
                    await act(place, chosen, route=route, rehearse=rehearse, options=options, agree=agreed)
                )

            if name is not None:
                await under(name)
            else:
                await under_a_free_name(name_from(str(place)), under)
            return shipped[-1]

    async def agreed(_: Price) -> bool:
        return agree

    with ThreadPoolExecutor(1, "lorry ship") as thread:  # a notebook has an event loop of its own
        return thread.submit(asyncio.run, ship()).result()


def _told(event: Event) -> None:
    if event.action in ("done", "retry", "waits"):
        _LOG.info("%s: %s: %s", event.model, event.subject, event.message)
