"""Turns at one address: so many requests at once, so many a second, and a rest for all when it asks for one.

No library does the three over one queue, which is what keeps the order: aiolimiter 1.3 knows the rate alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

#: The longest rest, seconds. The official client believes no longer one either (dossier 5.4): then somebody
#: asks again, and is told.
LONGEST_REST = 60.0

#: A turn that is due within a nanosecond is due: sums of seconds are no more exact than that.
_NEAR = 1e-9


class Alarm(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Have it not called."""


class Clock(Protocol):
    """The time, as an event loop has it."""

    def time(self) -> float:
        """Give the time, seconds since whenever; it never goes back."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Alarm:
        """Call something after this many seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be asked of an address.

    The rate is the lowest tier that the platform is known to have, 600 requests a minute (Together API
    dossier 5.3; none is published for managing deployments). How many at once is a choice: enough to hide the
    way there and back.

    Attributes:
        at_once: Requests under way at most.
        per_second: Requests that may begin in a second, in the long run.
        burst: Requests that may begin at once after a silence. In any time of `t` seconds, no more than
            `burst + per_second * t` begin.
    """

    at_once: int = 16
    per_second: float = 10.0
    burst: int = 20


#: For this machine, where nobody counts: as many at once as the HTTP client has connections (httpx: 100), so
#: that who comes later waits for a turn and not, with a limit of time, for a connection.
AMPLE = Limits(at_once=100, per_second=1e6, burst=1_000_000)


class Turns:
    """Gives turns, first come, first served.

    Args:
        limits: How many.
        clock: The time.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._inside = 0
        # GCRA, the leaky bucket as a time: when the next request would come if all came evenly. It may come
        # earlier than that by what a burst saves.
        self._even = clock.time()
        self._ahead = (limits.burst - 1) / limits.per_second
        self._alarm: Alarm | None = None

    @property
    def inside(self) -> int:
        """Count the requests under way."""
        return self._inside

    async def take(self) -> None:
        """Wait for a turn; whoever was given one gives it back."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in, and called off before it went
                self.give_back()
            raise

    def give_back(self) -> None:
        """End a turn."""
        self._inside -= 1
        self._admit()

    def rest(self, seconds: float) -> None:
        """Begin no request for a while; then they begin one by one, as the burst is used up.

        Args:
            seconds: What the platform asks for; no more than `LONGEST_REST` is believed.
        """
        until = self._clock.time() + min(seconds, LONGEST_REST)
        self._even = max(self._even, until + self._ahead)
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may go, and come back when the next one may."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._waiting:
            if self._waiting[0].done():  # called off while it waited
                self._waiting.popleft()
                continue
            if self._inside >= self._limits.at_once:
                return  # the next one who gives back comes here
            now = self._clock.time()
            wait = self._even - self._ahead - now
            if wait > _NEAR:
                self._alarm = self._clock.call_later(wait, self._admit)
                return
            self._even = max(self._even, now) + 1 / self._limits.per_second
            self._inside += 1
            self._waiting.popleft().set_result(None)


# One for all connections to an address with a key, as its owner is counted by the platform; each is gone with
# its last connection. Loops have their own, since a future belongs to one.
_OPEN: WeakValueDictionary[tuple[int, str, str], Turns] = WeakValueDictionary()


def turns_of(address: str, key: str, limits: Limits) -> Turns:
    """Give the turns that all connections of the running loop to an address share.

    Args:
        address: Root of the API.
        key: Whose requests are counted together.
        limits: How many; as long as a connection is open, the limits that it was opened with hold.
    """
    loop = asyncio.get_running_loop()
    turns = _OPEN.get((id(loop), address, key))
    if turns is None:
        turns = _OPEN[id(loop), address, key] = Turns(limits, loop)
    return turns
