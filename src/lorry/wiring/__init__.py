"""The only place that builds concrete things from settings.

Everything is opened when it is first needed: `lorry models` reads a table and never meets a network, a
durable runtime or the Hub's client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lorry.delivery.place import Place
from lorry.delivery.ports import Journal, Platform, Publisher
from lorry.model.events import Event
from lorry.model.placement import Placement, TrainedModel
from lorry.settings import ENGINE_PORT, Settings

if TYPE_CHECKING:
    from lorry.delivery import Deliveries
    from lorry.generation import Generations
    from lorry.platforms.together import Limits
    from lorry.platforms.together.fleet import TogetherFleet
    from lorry.store import Store
    from lorry.weights.origins.access import Access

#: Any key opens an engine that was started without one; the official client insists on sending one.
ANY_KEY = "local"


def now() -> datetime:
    """Give the present time, UTC."""
    return datetime.now(UTC)


def engine_address(settings: Settings) -> str:
    """Find the embedded engine: as set, else the one that runs on this home, else the default port.

    Args:
        settings: The settings.
    """
    from lorry.engine.discovery import running

    return settings.engine_url or running(settings.home) or f"http://127.0.0.1:{ENGINE_PORT}"


@dataclass(slots=True)
class House:
    """The rooms of one home, each opened on first use and closed together.

    Attributes:
        settings: What they are built from.
        listen: Called with each event as it is written.
        around: Wraps the journal; tests use it to end a process at a chosen entry.
        clock: Gives the time, UTC.
    """

    settings: Settings
    listen: Callable[[Event], None] | None = None
    around: Callable[[Journal], Journal] | None = None
    clock: Callable[[], datetime] = now
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _store: Store | None = None
    _platforms: dict[str, Platform] = field(default_factory=dict)
    _fleets: dict[str, TogetherFleet] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _deliveries: Deliveries | None = None

    async def close(self) -> None:
        """Close whatever was opened, last first."""
        await self._stack.aclose()

    async def store(self) -> Store:
        """Open the tables."""
        if self._store is None:
            from lorry.store import open_store

            self._store = await self._stack.enter_async_context(
                open_store(self.settings.home, self.settings.database_url)
            )
        return self._store

    async def place(self, route: str, *, rehearsal: bool) -> Place:
        """Open a route: its platform, its Hub, and the check that knows it.

        Args:
            route: The route's name.
            rehearsal: Whether the embedded engine plays the platform.

        Raises:
            KeyMissing: It needs a key, and none is set.
            OptionInvalid: There is no such route.
        """
        from lorry.platforms.profiles import route_profile
        from lorry.platforms.shipping import RouteCheck, RouteMender, rehearsed, shared_bases

        profile = route_profile(route)
        embedded = rehearsal or profile.platform == "local"
        if embedded:
            profile = rehearsed(profile)
        return Place(
            route=route,
            platform=await self.platform(embedded=embedded),
            publisher=self.publisher(embedded=embedded),
            check=RouteCheck(profile, self.access()),
            mender=RouteMender(self.access()),
            rehearsal=rehearsal and route != "local",
            shared=shared_bases(profile),
            token=None if embedded else self.settings.hub_token,
            hub=engine_address(self.settings) if embedded else self.settings.hub_url,
        )

    async def platform(self, *, embedded: bool) -> Platform:
        """Connect to Together, or to the embedded engine through the client for Together.

        Args:
            embedded: Whether to the engine.

        Raises:
            KeyMissing: Together's key is not set.
        """
        settings = self.settings
        address = engine_address(settings) if embedded else settings.together_url
        async with self._opening:
            if address not in self._platforms:
                from lorry.errors import EngineNotRunning, KeyMissing, Unreachable
                from lorry.platforms.together import connect

                key = (settings.engine_key or ANY_KEY) if embedded else settings.together_key
                if key is None:
                    raise KeyMissing(f"Shipping to {address} needs a key, and none is set.")
                connection = connect(
                    address,
                    key,
                    project=None if embedded else settings.together_project,
                    unreachable=EngineNotRunning if embedded else Unreachable,
                    uploads=settings.home / "uploads",
                    limits=self._limits(),
                )
                self._platforms[address] = await self._stack.enter_async_context(connection)
        return self._platforms[address]

    def access(self) -> Access:
        """Say what may be asked for weights that are not on this machine."""
        from lorry.weights.origins.access import Access

        settings = self.settings
        return Access(settings.hub_url, settings.hub_token, settings.allow_private_addresses)

    def publisher(self, *, embedded: bool) -> Publisher:
        """Give the client of the Hub: the engine's own Hub, or the one that is set.

        Args:
            embedded: Whether the engine's own.
        """
        from lorry.errors import EngineNotRunning, Unreachable
        from lorry.hub import HubPublisher

        settings = self.settings
        if embedded:
            return HubPublisher(
                engine_address(settings),
                settings.engine_key or ANY_KEY,
                xet=False,  # the engine speaks the Hub's plain LFS protocol
                unreachable=EngineNotRunning,
            )
        return HubPublisher(settings.hub_url, settings.hub_token, xet=True, unreachable=Unreachable)

    async def fleets(self) -> tuple[TogetherFleet, ...]:
        """Connect to everything that bills: on Together where its key is set, on an engine that runs."""
        from lorry.engine.discovery import running

        found = []
        if self.settings.together_key is not None:
            found.append(await self._fleet(embedded=False))
        if self.settings.engine_url is not None or running(self.settings.home) is not None:
            found.append(await self._fleet(embedded=True))
        return tuple(found)

    async def _fleet(self, *, embedded: bool) -> TogetherFleet:
        from lorry.errors import EngineNotRunning, Unreachable
        from lorry.platforms.together import connect_fleet

        settings = self.settings
        address = engine_address(settings) if embedded else settings.together_url
        if address not in self._fleets:
            connection = connect_fleet(
                address,
                (settings.engine_key or ANY_KEY) if embedded else str(settings.together_key),
                self.clock,
                project=None if embedded else settings.together_project,
                unreachable=EngineNotRunning if embedded else Unreachable,
                limits=self._limits(),
                rehearsal=embedded,
            )
            self._fleets[address] = await self._stack.enter_async_context(connection)
        return self._fleets[address]

    def _limits(self) -> Limits:
        from lorry.platforms.together import Limits

        settings = self.settings
        burst = max(1, round(2 * settings.together_per_second))
        return Limits(settings.together_at_once, settings.together_per_second, burst=burst)

    async def deliveries(self) -> Deliveries:
        """Open the durable runtime of this home."""
        if self._deliveries is None:
            from lorry.delivery import Deliveries
            from lorry.journal import Hiding

            store = await self.store()
            journal = Hiding(store, self.settings.secrets)
            opened = Deliveries(
                home=self.settings.home,
                records=store,
                journal=self.around(journal) if self.around else journal,
                intents=store,
                claims=store.claiming,
                places=self,
                now=now,
                listen=self.listen,
                database=self.settings.database_url,
                allow=self._allow,
            )
            self._deliveries = await self._stack.enter_async_context(opened)
        return self._deliveries

    async def _allow(self, model: TrainedModel, cents: float) -> None:
        """Refuse what does not fit into a budget.

        Raises:
            BudgetSpent: It does not.
        """
        from lorry.model.budget import holding, require_room, standings

        store = await self.store()
        budgets = await store.books.budgets()
        if not budgets:
            return
        now = self.clock()
        found = standings(budgets, await store.books.spent(now), now)
        owner = (await store.policy(model.name)).owner
        require_room(holding(found, model.name, owner), cents, f"An hour of {model.name}")

    async def platform_of(self, placement: Placement) -> Platform:
        """Connect to the platform of a placement."""
        return await self.platform(embedded=placement.rehearsal or placement.route == "local")

    async def generations(self) -> Generations:
        """Open the way of a request for pictures or words."""
        from lorry.generation import Generations

        return Generations(await self.store(), self.platform_of)
