"""The health of all places and accounts, as requests change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from enum import IntEnum

from lorry.errors import (
    AccessDenied,
    KeyRejected,
    LorryError,
    ModelUnavailable,
    NotRouted,
    OutOfCredit,
    QuotaReached,
    RateLimited,
    RequestRefused,
    UsageError,
)
from lorry.generation.ports import Outages
from lorry.generation.routing.health import WELL, Health, Outcome, after, begun
from lorry.model.serving import Place


class Level(IntEnum):
    """How much an outcome tells of: the place in `keys_of`."""

    PLACE = 0
    ROUTE = 1
    ACCOUNT = 2


def keys_of(place: Place, account: str) -> tuple[str, str, str]:
    """Name what a place's health hangs on: itself, its route (which has a rate limit), and its account.

    Args:
        place: The place.
        account: Whose requests are counted and billed together.
    """
    return place.key, f"{account} {place.route}", account


class Healths:
    """What is known of each place and account; what needs a person outlives the process.

    Args:
        outages: Where that is written.
        clock: Seconds that only grow.
    """

    def __init__(self, outages: Outages, clock: Callable[[], float]) -> None:
        self._outages = outages
        self._clock = clock
        self._known: dict[str, Health] = {}
        self._writing: dict[asyncio.Task[None], str] = {}

    @property
    def known(self) -> Mapping[str, Health]:
        """Give what is not simply well, by place and account."""
        return self._known

    async def load(self) -> None:
        """Read what needs a person; what somebody mended elsewhere is well again."""
        being_written = set(self._writing.values())
        held = await self._outages.held()
        known = {*held, *being_written, *self._writing.values()}
        for key in [key for key, health in self._known.items() if health.held and key not in known]:
            del self._known[key]
        for key, reason in held.items():
            self._known[key] = after(self._known.get(key, WELL), Outcome.HELD, 0.0, reason=reason)

    async def mend(self, keys: Collection[str]) -> list[str]:
        """Forget what is known of some, because a person says that it is mended; say which there were."""
        gone = [key for key in keys if self._known.pop(key, None) is not None]
        await self._outages.mended(keys)
        return gone

    def begun(self, place: Place, account: str) -> None:
        """Note that a request goes to a place."""
        if not self._known:
            return
        for key in keys_of(place, account):
            if key in self._known:
                self._known[key] = begun(self._known[key], self._clock())

    def good(self, place: Place, account: str) -> None:
        """Note that a place answered."""
        if not self._known:
            return
        for key in keys_of(place, account):
            if key in self._known and after(self._known[key], Outcome.GOOD, self._clock()) is WELL:
                del self._known[key]

    def bad(self, place: Place, account: str, error: LorryError) -> None:
        """Note that a place did not answer, and why."""
        outcome, level = judge(error)
        key = keys_of(place, account)[level]
        if outcome is Outcome.GOOD:
            self.good(place, account)
            return
        reset = error.evidence.get("retry_after") or error.evidence.get("limit_reset")
        before = self._known.get(key, WELL)
        self._known[key] = after(before, outcome, self._clock(), reason=error.message, reset=reset)
        if outcome is Outcome.HELD and before.held is None:
            task = asyncio.get_running_loop().create_task(self._outages.hold(key, error.code, error.message))
            self._writing[task] = key
            task.add_done_callback(self._writing.pop)


def judge(error: LorryError) -> tuple[Outcome, Level]:
    """Say what an error tells of the health of a place, or of all those of its route or account.

    Args:
        error: What came instead of an answer.
    """
    match error:
        case KeyRejected() | OutOfCredit() | QuotaReached():
            return Outcome.HELD, Level.ACCOUNT
        case AccessDenied():
            return Outcome.HELD, Level.PLACE
        case RateLimited():
            return Outcome.LIMITED, Level.ROUTE
        case ModelUnavailable() | NotRouted():
            return Outcome.FAILED, Level.PLACE
        case RequestRefused() | UsageError():  # an answer; and to sleep (Stopped) is no illness
            return Outcome.GOOD, Level.PLACE
        case _:
            return Outcome.FAILED, Level.PLACE
