"""One line at the end of a training script."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from threading import Thread

from lorry.api import Lorry
from lorry.errors import SourceNotFound
from lorry.model.batch import name_from
from lorry.model.events import Event
from lorry.model.forecast import Price
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.model.placement import Placement
from lorry.settings import Settings

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
    work = _Shipping(Path(source), name, route, rehearse, options, agree, hand_over, settings)
    thread = Thread(target=work.run, name="lorry ship")  # a notebook has an event loop of its own
    thread.start()
    thread.join()
    return work.result()


class _Shipping:
    def __init__(
        self,
        source: Path,
        name: str | None,
        route: str,
        rehearse: bool | None,
        options: ShipOptions,
        agree: bool,
        hand_over: bool,
        settings: Settings | None,
    ) -> None:
        self._source, self._name, self._route, self._rehearse = source, name, route, rehearse
        self._options, self._agree, self._hand_over, self._settings = options, agree, hand_over, settings
        self._placement: Placement | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Ship, in a thread of its own."""
        try:
            asyncio.run(self._ship())
        except BaseException as error:  # noqa: BLE001 - raised again where it was waited for
            self._error = error

    def result(self) -> Placement | None:
        """Give the placement, or raise what was raised."""
        if self._error is not None:
            raise self._error
        return self._placement

    async def _ship(self) -> None:
        from lorry.training.naming import under_a_free_name

        if not await asyncio.to_thread(self._source.exists):
            raise SourceNotFound(
                f"The training saved nothing at {self._source}.", evidence={"source": str(self._source)}
            )
        async with Lorry(self._settings, listen=_told) as lorry:

            async def agree(_: Price) -> bool:
                return self._agree

            async def act(name: str) -> None:
                ship = lorry.submit if self._hand_over else lorry.ship
                self._placement = await ship(
                    self._source,
                    name,
                    route=self._route,
                    rehearse=self._rehearse,
                    options=self._options,
                    agree=agree,
                )

            if self._name is not None:
                await act(self._name)
            else:
                await under_a_free_name(name_from(str(self._source.resolve())), act)


def _told(event: Event) -> None:
    if event.action in ("done", "retry", "waits"):
        _LOG.info("%s: %s: %s", event.model, event.subject, event.message)
