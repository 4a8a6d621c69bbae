"""`lorry show`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lorry.cli.options import Common
from lorry.cli.printing import shipped_lines
from lorry.cli.standing import status_lines
from lorry.journal import Estimate, Status, together_of
from lorry.model.placement import PlacementState, ShippedModel


def show(name: str, /, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show one model: where it is, how far its delivery came, its proof and its last error.

    Args:
        name: The model's name.
    """
    from lorry.api import Lorry

    async def read() -> tuple[ShippedModel, Status | None, Mapping[str, Estimate]]:
        async with Lorry(common.settings()) as lorry:
            entry = await lorry.show(name)
            place = entry.placement
            if place is None:
                return entry, None, {}
            usual = await lorry.estimates(place.route, rehearse=place.rehearsal)
            return entry, await lorry.status(name), usual

    entry, status, usual = asyncio.run(read())
    common.out(_data(entry, status, usual), shipped_lines(entry, _standing(entry, status, usual)))


def _data(entry: ShippedModel, status: Status | None, usual: Mapping[str, Estimate]) -> dict[str, Any]:
    data = {**entry.as_dict(), "status": None, "together": None}
    if entry.placement is None or status is None:
        return data
    step = status.current.step
    estimate = usual.get(step) if step and entry.placement.state is PlacementState.DELIVERING else None
    told = {**status.as_dict(), "estimate": estimate.as_dict() if estimate else None}
    return {**data, "status": told, "together": together_of(entry.placement, status)}


def _standing(entry: ShippedModel, status: Status | None, usual: Mapping[str, Estimate]) -> list[str]:
    from lorry.wiring import now

    place = entry.placement
    under_way = (PlacementState.DELIVERING, PlacementState.FAILED)
    if place is None or status is None or place.state not in under_way:
        return []
    return ["", *status_lines(status, usual, now())]
