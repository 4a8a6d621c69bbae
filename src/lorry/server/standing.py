"""How each model stands, in a word: from its placement, and from how its place answers."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from lorry.errors import KeyMissing
from lorry.generation.gateway.healths import keys_of
from lorry.generation.routing.health import WELL, Circuit
from lorry.model.placement import Placement, PlacementState
from lorry.model.serving import Place
from lorry.server.rooms import Rooms
from lorry.spend.matching import object_of


def health_of(rooms: Rooms, name: str) -> dict[str, Any] | None:
    """Say how well a model's place answers; `None` for one that is nowhere.

    Args:
        rooms: What the server works with.
        name: The model.
    """
    place = rooms.directory.now.place(name)
    if place is None:
        return None
    try:
        account = rooms.gateway.tries.line_of(place).account
    except KeyMissing as error:
        return _unreachable(place, error.message)
    keys = keys_of(place, account)
    states = {key: rooms.healths.known.get(key, WELL) for key in keys}
    now = rooms.clock()
    worst = max(states.values(), key=lambda health: (health.held is not None, health.until))
    return {
        "model": name,
        "route": place.route,
        "state": str(place.placement.state),
        "circuit": str(worst.circuit(now)),
        "why": worst.held or worst.reason or None,
        "again_in": worst.wait(now),
        "starting": name in rooms.waker.under_way,
        "mend": [key for key, health in states.items() if health.held],
    }


def _unreachable(place: Place, why: str) -> dict[str, Any]:
    return {
        "model": place.key,
        "route": place.route,
        "state": str(place.placement.state),
        "circuit": str(Circuit.OPEN),
        "why": why,
        "again_in": None,
        "starting": False,
        "mend": [],
    }


def standing_of(rooms: Rooms, name: str, placement: Placement | None, asleep: Container[str] = ()) -> str:
    """Say in a word how a model stands: a key of `lorry.server.pages.wording.STATES`.

    Args:
        rooms: What the server works with.
        name: The model.
        placement: Where it is.
        asleep: What ran at a platform and does not any more.
    """
    if placement is None:
        return "nowhere"
    if placement.state is not PlacementState.READY:
        return str(placement.state)
    if name in rooms.waker.under_way:
        return "starting"
    if asleep and (runs_on := object_of(placement)) is not None and runs_on[1] in asleep:
        return "asleep"
    if not rooms.healths.known:  # most of the time nothing is wrong with any place
        return "ready"
    health = health_of(rooms, name)
    if health is None or health["circuit"] == str(Circuit.CLOSED):
        return "ready"
    return "sick" if health["mend"] or health["circuit"] == str(Circuit.OPEN) else "limited"
