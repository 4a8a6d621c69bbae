"""Requests, counted: what the dashboard tells of a day and of each hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Upper ends of the spans that times are sorted into, milliseconds; the last one has none. A quantile is told
#: with the precision of its span, a factor of 1.5 or so.
SPANS = (10, 20, 40, 80, 120, 180, 270, 400, 600, 900, 1_350, 2_000, 3_000, 4_500, 6_750, 10_000, 15_000,
         22_500, 33_750, 50_000, 75_000, 112_500, 300_000, 600_000)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests for one model since a time.

    Attributes:
        requests: How many were answered, well or not; those refused for what they asked are no fault of it.
        failed: How many of them failed, or came to nobody knows what.
    """

    requests: int = 0
    failed: int = 0

    @property
    def success(self) -> float | None:
        """Share of them that went well; `None` without any."""
        return 1 - self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Hour:
    """Requests of one hour.

    Attributes:
        hour: Its beginning, `2026-11-30T04`, UTC.
        outcomes: How many came to what (`lorry.model.kept.Came`).
        codes: How many ended with which error.
        spans: How many that went well took how long: by the place of the span in `SPANS`.
        routes: How many went well and how many did not, by route.
    """

    hour: str
    outcomes: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    spans: Mapping[int, int] = field(default_factory=dict)
    routes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def quantile(spans: Mapping[int, int], share: float) -> float | None:
    """Say under which time so large a share of the requests was answered, milliseconds.

    Args:
        spans: How many took how long, by the place of the span in `SPANS`.
        share: Above 0 and up to 1.

    Returns:
        A time within the span in which the share is reached, as if those in it were spread evenly; `None`
        without any request.
    """
    total = sum(spans.values())
    if not total:
        return None
    wanted, below = share * total, 0
    for place in sorted(spans):
        count = spans[place]
        if below + count >= wanted:
            low = SPANS[place - 1] if place else 0
            high = SPANS[place] if place < len(SPANS) else 2 * SPANS[-1]
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(2 * SPANS[-1])


def joined(hours: Sequence[Hour]) -> dict[int, int]:
    """Add up how long the requests of several hours took."""
    found: dict[int, int] = {}
    for hour in hours:
        for place, count in hour.spans.items():
            found[place] = found.get(place, 0) + count
    return found
