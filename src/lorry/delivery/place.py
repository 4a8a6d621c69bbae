"""Where a delivery goes: one route of one platform, with what only that route knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from lorry.delivery.mending import Check, Leave, Mender
from lorry.delivery.ports import Platform, Publisher
from lorry.model.forecast import Price


@dataclass(frozen=True, slots=True)
class SharedBase:
    """A base that a platform serves to everybody, and that takes adapters by their address.

    Attributes:
        id: Under which name it answers.
        price: What a picture costs.
        note: What else to know of it.
    """

    id: str
    price: Price | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One route, ready to be used.

    Attributes:
        route: Its name.
        platform: Who serves.
        publisher: The Hub that goes with it.
        check: Reads a model's files and judges them for this route.
        mender: Converts files that the route does not take as they are.
        rehearsal: Whether the embedded engine plays the platform.
        shared: The bases that take adapters by address, by the key of their family.
        token: What the platform may use to read a private repository on that Hub.
        hub: Address of that Hub, as the platform reaches it.
    """

    route: str
    platform: Platform
    publisher: Publisher
    check: Check
    mender: Mender = field(default_factory=Leave)
    rehearsal: bool = False
    shared: Mapping[str, SharedBase] = field(default_factory=lambda: MappingProxyType({}))
    token: str | None = field(default=None, repr=False)
    hub: str = ""


class Places(Protocol):
    """Opens routes, each when it is first needed."""

    async def place(self, route: str, *, rehearsal: bool) -> Place:
        """Open a route.

        Raises:
            KeyMissing: It needs a key, and none is set.
            LorryError: It can't be opened.
        """
