"""How long who comes now would wait, and whether to take them at all."""

from __future__ import annotations

import time

#: Pictures that wait at the most; what comes beyond is told when to come again.
MOST_WAITING = 256

#: Seconds that anybody waits at the most, as it went lately: callers give up at some point, and a request
#: that is refused at once can go elsewhere.
LONGEST_WAIT = 120.0

_SMOOTHED = 0.2


class Patience:
    """The pace at which pictures come, as it went lately. Not safe by itself: its owner has a lock."""

    def __init__(self) -> None:
        self._seconds = 0.1  # that a picture takes
        self._last: float | None = None

    def too_long(self, waiting: int, more: int) -> float | None:
        """Say when to come again, where it is too much.

        Args:
            waiting: Pictures that wait or are being drawn.
            more: Pictures that are asked for; a request that is large by itself is taken when nothing waits.

        Returns:
            Seconds until half of what waits will be drawn; `None` where they can be taken.
        """
        seconds = waiting * self._seconds
        if not waiting or (waiting + more <= MOST_WAITING and seconds <= LONGEST_WAIT):
            return None
        return round(max(1.0, seconds / 2), 1)

    def began(self) -> None:
        """Hear that drawing begins, or goes on."""
        if self._last is None:
            self._last = time.monotonic()

    def drawn(self) -> None:
        """Hear that a picture is done."""
        now = time.monotonic()
        if self._last is not None:
            self._seconds += _SMOOTHED * (now - self._last - self._seconds)
        self._last = now

    def rest(self) -> None:
        """Hear that nothing is being drawn."""
        self._last = None
