"""The keeper and what is asked about money, built from settings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from lorry.errors import LorryError
from lorry.model.events import Event
from lorry.settings import Settings
from lorry.spend.keeper import Keeper, Passed
from lorry.spend.matching import Defaults
from lorry.spend.ports import Books, Diary, Fleet
from lorry.wiring import House

_LOG = logging.getLogger("lorry.keeper")


class Journalled:
    """`lorry.spend.ports.Diary` in the journal of the model that it is about, and in the log.

    Args:
        house: Where the journal is.
        listen: Told each sentence as well.
    """

    def __init__(self, house: House, listen: Callable[[str], None] | None = None) -> None:
        self._house, self._listen = house, listen

    async def note(self, model: str | None, action: str, message: str, data: Mapping[str, object]) -> None:
        """Tell one thing; what the database refuses is in the log at least."""
        if self._listen is not None:
            self._listen(message)
        else:
            (_LOG.warning if action in ("failed", "budget") else _LOG.info)("%s", message)
        if model is None:
            return
        at = self._house.clock()
        with contextlib.suppress(LorryError):
            store = await self._house.store()
            await store.write(Event(model, "keeper", "lease", action, message, at, data=dict(data)))


def keeper_of(house: House, diary: Diary | None = None) -> Keeper:
    """Build the keeper of a home.

    Args:
        house: The home.
        diary: Is told what is done; the journal when omitted.
    """
    settings = house.settings

    async def fleets() -> Sequence[Fleet]:
        return await house.fleets()

    async def books() -> Books:
        return (await house.store()).books

    return Keeper(fleets, books, diary or Journalled(house), defaults_of(settings), house.clock)


def defaults_of(settings: Settings) -> Defaults:
    """Give what holds where a policy says nothing."""
    return Defaults(
        idle=timedelta(minutes=settings.lease_minutes), grace=timedelta(minutes=settings.grace_minutes)
    )


async def keep(
    keeper: Keeper,
    seconds: float,
    told: Callable[[Passed], None] = lambda _passed: None,
) -> None:
    """Make pass after pass, for ever.

    Args:
        keeper: Makes them.
        seconds: Between two.
        told: Called with each pass.
    """
    while True:
        try:
            passed = await keeper.once()
        except LorryError as error:  # the next pass may do better; nothing is worse than no keeper
            _LOG.warning("a pass of the keeper failed: %s", error.message)
        except Exception:  # noqa: BLE001 - a fault of ours in one pass must not end all of them
            _LOG.exception("a pass of the keeper failed")
        else:
            told(passed)
        await asyncio.sleep(seconds)
