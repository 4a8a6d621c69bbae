"""What would be cheaper for the models of a home, from what was really asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lorry.model.placement import Placement
from lorry.model.prices import PICTURES
from lorry.spend.advice import Hosted, break_even, packings
from lorry.spend.learning import idle_for
from lorry.spend.replay import Ground
from lorry.spend.traffic import Asked, Traffic

#: Routes on which a model has replicas of its own.
_OWN = ("together-merged", "together-container", "together-v1", "local")

#: Size of a picture whose size nobody wrote down, megapixels: the API's default of 1024 × 1024.
_MEGAPIXELS = 1024 * 1024 / 1e6


def advise(
    placements: Sequence[Placement],
    bases: Mapping[str, str],
    traffic: Traffic,
    ground: Ground,
    wait_share: float,
) -> list[str]:
    """Say for each model what would be cheaper.

    Args:
        placements: Where the models are.
        bases: The base of each, by model.
        traffic: What was asked.
        ground: What is assumed of a replica.
        wait_share: Share of requests that may wait for a start.

    Returns:
        Sentences; none where there is nothing to say.
    """
    lines = []
    for place in placements:
        requests = traffic.get(place.model, ())
        if not requests:
            continue
        lines += _for_one(place, bases.get(place.model, ""), requests, ground, wait_share)
    merged = [
        Hosted(place.model, bases[place.model], ground.cents_per_hour)
        for place in placements
        if place.route == "together-merged" and place.model in bases
    ]
    shared = {each.base: ground.cents_per_hour for each in merged}
    return lines + [each.sentence for each in packings(merged, shared)]


def _for_one(
    place: Placement, base: str, requests: Sequence[Asked], ground: Ground, wait_share: float
) -> list[str]:
    name, lines = place.model, []
    if place.route in _OWN and len(requests) > 1:
        idling, found = idle_for(requests, wait_share, ground)
        quiet = "".join(f' --quiet "{hours}"' for hours in idling.quiet_hours())
        lines.append(
            f"{name}: `lorry policy {name} --idle-minutes {idling.minutes:g}{quiet}` makes "
            f"{found.wait_share:.2%} of its requests wait and would have cost ${found.cents / 100:,.2f}"
        )
    price = PICTURES.get(base)
    if price is not None:
        each = price.cents_per_megapixel * _MEGAPIXELS
        even = break_even(name, ground.cents_per_hour, each, seen_per_hour(requests))
        if even is not None:
            lines.append(f"{name}: {even.sentence}")
    return lines


def seen_per_hour(requests: Sequence[Asked]) -> float:
    """Give the requests an hour, in the hours in which there was any."""
    hours = {int(asked.at // 3600) for asked in requests}
    return len(requests) / len(hours) if hours else 0.0
