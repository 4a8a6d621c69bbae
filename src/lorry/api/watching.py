"""Watching for trainings from Python; `Lorry` has this verb and the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lorry.api.verbs import DeliveryVerbs
from lorry.delivery.refusing import Agree
from lorry.errors import SourceNotFound
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.training.watching import Tell, Watcher
from lorry.wiring import House


@dataclass(frozen=True, slots=True)
class Destination:
    """How what is found goes on its way.

    Attributes:
        route: One of `lorry.platforms.profiles.ROUTES`.
        rehearse: Whether the embedded engine plays the platform; as set when `None`.
        options: Choices beyond the route's defaults.
        agree: Asked before something is started that bills; nothing of the kind is started when `None`.
        hand_over: Whether it is only written down, for a worker.
    """

    route: str = "local"
    rehearse: bool | None = None
    options: ShipOptions = DEFAULT_OPTIONS
    agree: Agree | None = None
    hand_over: bool = False


class WatchVerbs(DeliveryVerbs):
    """Watch folders for trainings that have finished."""

    _house: House

    async def watch(
        self,
        folders: Sequence[str | Path],
        going: Destination,
        tell: Tell,
        stop: asyncio.Event,
        *,
        once: bool = False,
        only_new: bool = False,
    ) -> int:
        """Ship each training in some folders as soon as it has finished, each once.

        Args:
            folders: Where trainers write.
            going: How what is found goes on its way.
            tell: Told of each training whose state changes.
            stop: Set when it shall end.
            once: Whether to end when all that is there is decided and shipped.
            only_new: Whether trainings that are there already, and were never seen, are left alone for good.

        Returns:
            How many were left alone.

        Raises:
            SourceNotFound: Names every folder that is not there.
        """
        from lorry.training.looking import keep_looking, look_until_decided

        places = _require_folders(folders)
        store = await self._house.store()
        shipper = _Shipper(self, going)
        watcher = Watcher(places, store.trainings, shipper, tell, time.monotonic, self._house.clock)
        await self._house.deliveries()  # what is wrong with the home is no fault of any training
        left = await watcher.begin(leave=only_new)
        try:
            if once:
                await look_until_decided(watcher)
            else:
                await keep_looking(watcher, places, stop)
        finally:
            await watcher.close()
        return left


class _Shipper:
    def __init__(self, verbs: WatchVerbs, going: Destination) -> None:
        self._verbs, self._going = verbs, going

    async def finished(self, path: Path) -> tuple[bool | None, str]:
        from lorry.training.ending import end_of

        return await asyncio.to_thread(end_of, path, self._verbs._house.access())

    async def ship(self, path: Path, name: str) -> None:
        going = self._going
        act = self._verbs.submit if going.hand_over else self._verbs.ship
        await act(
            path, name, route=going.route, rehearse=going.rehearse, options=going.options, agree=going.agree
        )


def _require_folders(folders: Sequence[str | Path]) -> tuple[Path, ...]:
    places = tuple(dict.fromkeys(Path(folder).expanduser().absolute() for folder in folders))
    missing = [str(place) for place in places if not place.is_dir()]
    if missing:
        what = f"{missing[0]} is no folder" if len(missing) == 1 else f"{', '.join(missing)} are no folders"
        raise SourceNotFound(
            f"{what} that could be watched.",
            fix="Name the folders into which your trainer writes; they have to be there.",
            evidence={"missing": missing},
        )
    return places
