"""What a model's journal is told of its requests: some, as thousands an hour would bury the rest.

Of each outcome it is told once an hour at most, with how many there were since then, and one of them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lorry.model.events import Event
from lorry.model.kept import Came, LedgerRow

#: How often a model's journal is told of the same outcome.
EVERY = timedelta(hours=1)

_WENT = {
    Came.OK: ("sample", "went well"),
    Came.REFUSED: ("refused", "were refused"),
    Came.FAILED: ("failed", "failed"),
    Came.UNKNOWN: ("failed", "may have been carried out, and nobody knows"),
    Came.LEFT: ("sample", "were left by their callers"),
}


@dataclass(slots=True)
class _Tally:
    """How often something came of a model's requests since that was told, and the newest of them."""

    count: int = 0
    milliseconds: float = 0.0
    request: str = ""
    route: str | None = None


_Key = tuple[str, Came, str | None]


class Samples:
    """Counts what comes of requests, and says when that is worth telling.

    Args:
        known: Whether a model is: a request may name anything.
    """

    def __init__(self, known: Callable[[str], bool]) -> None:
        self._known = known
        self._tallies: dict[_Key, _Tally] = {}
        self._told: dict[_Key, datetime] = {}

    def add(self, rows: Iterable[LedgerRow]) -> None:
        """Count attempts.

        Args:
            rows: As the ledger has them; those that have not ended are left out.
        """
        for row in rows:
            name = row.place or row.model
            if row.outcome is Came.SENT or not self._known(name):
                continue
            tally = self._tallies.setdefault((name, row.outcome, row.code), _Tally())
            tally.count += 1
            tally.milliseconds += row.milliseconds
            tally.request, tally.route = row.request, row.route

    def worth_telling(self, now: datetime) -> list[Event]:
        """Give the events that tell of what came since they were told last.

        Args:
            now: The time, UTC.
        """
        events = []
        for key in sorted(self._tallies, key=str):
            last = self._told.get(key)
            if last is None or now - last >= EVERY:
                self._told[key] = now
                events.append(_event(key, self._tallies.pop(key), now))
        return events


def _event(key: _Key, tally: _Tally, now: datetime) -> Event:
    model, outcome, code = key
    action, words = _WENT[outcome]
    many = "1 request" if tally.count == 1 else f"{tally.count:,} requests"
    words = words.replace("were", "was", 1) if tally.count == 1 else words
    why = f" ({code})" if code else ""
    mean = tally.milliseconds / tally.count
    told = f"{many} {words}{why}, {mean / 1000:.2f} s on average; {tally.request} is one."
    data = {
        "outcome": str(outcome),
        "code": code,
        "route": tally.route,
        "count": tally.count,
        "milliseconds": round(mean, 1),
        "request": tally.request,
    }
    return Event(model, "gateway", "generation", action, told, now, data=data)
