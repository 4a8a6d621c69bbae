"""The only place that builds concrete things from settings.

Everything is opened when it is first needed: `lorry models` reads a table and never meets a network, a
durable runtime or the Hub's client.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lorry.delivery.ports import Journal, Painter, Platform, Publisher
from lorry.model.events import Event
from lorry.settings import ENGINE_PORT, Settings

if TYPE_CHECKING:
    from lorry.delivery import Deliveries
    from lorry.generation import Generations
    from lorry.store import Store
    from lorry.weights.origins.access import Access

#: Any key opens an engine that was started without one; the official client insists on sending one.
_ANY_KEY = "local"


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
    """

    settings: Settings
    listen: Callable[[Event], None] | None = None
    around: Callable[[Journal], Journal] | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _store: Store | None = None
    _platform: Platform | None = None
    _deliveries: Deliveries | None = None

    async def close(self) -> None:
        """Close whatever was opened, last first."""
        await self._stack.aclose()

    async def store(self) -> Store:
        """Open the tables."""
        if self._store is None:
            from lorry.store import open_store

            self._store = await self._stack.enter_async_context(open_store(self.settings.home))
        return self._store

    async def platform(self) -> Platform:
        """Connect to the platform of the route `local`: the engine, through the client for Together."""
        if self._platform is None:
            from lorry.errors import EngineNotRunning
            from lorry.platforms.together import connect

            connection = connect(
                engine_address(self.settings),
                self.settings.engine_key or _ANY_KEY,
                route="local",
                unreachable=EngineNotRunning,
            )
            self._platform = await self._stack.enter_async_context(connection)
        return self._platform

    def access(self) -> Access:
        """Say what may be asked for weights that are not on this machine."""
        from lorry.weights.origins.access import Access

        settings = self.settings
        return Access(settings.hub_url, settings.hub_token, settings.allow_private_addresses)

    def publisher(self) -> Publisher:
        """Give the client of the Hub: the engine's own Hub on the route `local`."""
        from lorry.errors import EngineNotRunning
        from lorry.hub import HubPublisher

        return HubPublisher(
            engine_address(self.settings),
            self.settings.engine_key or _ANY_KEY,
            xet=False,  # the engine speaks the Hub's plain LFS protocol
            unreachable=EngineNotRunning,
        )

    async def deliveries(self) -> Deliveries:
        """Open the durable runtime of this home."""
        if self._deliveries is None:
            from lorry.delivery import Deliveries
            from lorry.platforms.profiles import profile
            from lorry.platforms.shipping import RouteCheck, RouteMender

            store = await self.store()
            opened = Deliveries(
                home=self.settings.home,
                records=store,
                journal=self.around(store) if self.around else store,
                intents=store,
                publisher=self.publisher(),
                platform=await self.platform(),
                now=now,
                listen=self.listen,
                check=RouteCheck(profile("local"), self.access()),
                mender=RouteMender(self.access()),
            )
            self._deliveries = await self._stack.enter_async_context(opened)
        return self._deliveries

    async def generations(self) -> Generations:
        """Open the way of a request for pictures."""
        from lorry.generation import Generations

        store, platform = await self.store(), await self.platform()

        def painter(_placement: object) -> Painter:
            return platform.painter

        return Generations(store, painter)


def serve_engine(
    settings: Settings,
    *,
    host: str,
    port: int,
    renderer: str | None,
    pace: str,
    stop_with_stdin: bool,
    announce: Callable[[str], None],
) -> None:
    """Run the embedded engine in this process until it is told to stop.

    Args:
        settings: The settings.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        renderer: Name of the renderer; the setting's when `None`.
        pace: How fast states advance (`at-once`, `looks:N`, `seconds:T`).
        stop_with_stdin: End when standard input closes.
        announce: Called with the address once it answers.
    """
    from dataclasses import replace

    from lorry.engine.config import EngineConfig
    from lorry.engine.pace import Pace
    from lorry.engine.server import serve

    chosen = replace(settings, renderer=renderer) if renderer else settings
    config = EngineConfig(
        home=chosen.home,
        renderer=chosen.renderer,
        threads=chosen.threads,
        api_key=chosen.engine_key,
        pace=Pace.parse(pace),
    )
    serve(config, host, port, announce=announce, stop_with_stdin=stop_with_stdin)
