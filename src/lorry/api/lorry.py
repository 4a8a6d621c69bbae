"""All of Lorry in one class: checking, shipping, generating, and reading what happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from lorry.api.debugging import DebugVerbs
from lorry.api.spending import SpendVerbs
from lorry.api.watching import WatchVerbs
from lorry.delivery.ports import Journal, Platform
from lorry.errors import ModelNotFound
from lorry.journal import Estimate, Status
from lorry.model.events import Event
from lorry.model.forecast import Forecast
from lorry.model.generation import Generation
from lorry.model.names import parse_name
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.model.placement import ShippedModel
from lorry.model.report import WeightsReport
from lorry.model.verdict import Verdict
from lorry.settings import Settings, read_settings
from lorry.wiring import House

#: How often a followed journal is looked at.
_LOOK_SECONDS = 0.3


class Lorry(WatchVerbs, SpendVerbs, DebugVerbs):
    """Ship trained models, generate with them, and remove them again.

    Use it as an asynchronous context manager.

    Args:
        settings: Where state lies and what the engine's address is; read from the environment when omitted.
        listen: Called with each event of a delivery as it happens.
        around: Wraps the journal; a seam for tests.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        listen: Callable[[Event], None] | None = None,
        around: Callable[[Journal], Journal] | None = None,
    ) -> None:
        self._house = House(settings or read_settings(), listen=listen, around=around)

    async def __aenter__(self) -> Self:
        """Begin; rooms are opened when they are first needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        await self._house.close()

    async def check(
        self, source: str | Path, *, base: str | None = None, deep: bool | None = None
    ) -> WeightsReport:
        """Say what weights are and everything that is wrong with them.

        Args:
            source: A .safetensors file, a folder or archive that holds it, a Hub repository
                (`owner/name[@revision][:file]`) or an https address.
            base: Public id of the base model that it is meant for.
            deep: Whether to look at every number; by default for single files on this machine.

        Raises:
            SourceNotFound: There is no such file or folder.
        """
        from lorry.store import shipped_as
        from lorry.weights import check

        home = self._house.settings.home
        return await asyncio.to_thread(
            check,
            source,
            base=base,
            deep=deep,
            access=self._house.access(),
            shipped=lambda digest: shipped_as(home, digest),
        )

    async def verdicts(
        self, source: str | Path, targets: Iterable[str] = ("all",), *, base: str | None = None
    ) -> tuple[Verdict, ...]:
        """Say for each route and loader whether weights run there, and why.

        Args:
            source: As `check` takes it.
            targets: Names of routes and loaders, or `all`.
            base: Public id of the base model that it is meant for.

        Raises:
            SourceNotFound: There is no such file or folder.
            OptionInvalid: A name is no route and no loader.
        """
        from lorry.platforms.profiles import chosen
        from lorry.platforms.verdicts import judge

        profiles = chosen(targets)
        report = await self.check(source, base=base)
        return tuple(judge(report, profile) for profile in profiles)

    async def forecast(
        self,
        source: str | Path,
        name: str,
        routes: Iterable[str] = (),
        *,
        rehearse: bool | None = None,
        options: ShipOptions = DEFAULT_OPTIONS,
    ) -> tuple[Forecast, ...]:
        """Say for each route what shipping would do, cost and meet; make nothing.

        Args:
            source: As for `ship`.
            name: As for `ship`.
            routes: Which routes; all when empty.
            rehearse: As for `ship`.
            options: As for `ship`.

        Raises:
            SourceNotFound: There is no such file or folder.
            OptionInvalid: A name is no route.
        """
        from lorry.platforms.forecasting import forecast_all
        from lorry.platforms.profiles import ROUTES
        from lorry.wiring import now

        wishes = [self._wish(route, rehearse, options) for route in tuple(routes) or ROUTES]
        report = await self.check(source, base=options.base)
        return await forecast_all(report, parse_name(name), wishes, self._house, now())

    async def platform(self, *, rehearse: bool | None = None) -> Platform:
        """Connect to Together, or to the embedded engine in its place; its ports are what the routes use.

        Args:
            rehearse: Whether the embedded engine plays the platform; as set when omitted.

        Raises:
            KeyMissing: Together's key is not set.
        """
        embedded = self._house.settings.rehearse if rehearse is None else rehearse
        return await self._house.platform(embedded=embedded)

    async def generate(
        self,
        name: str,
        prompt: str,
        *,
        seed: int | None = None,
        steps: int | None = None,
        size: int | None = None,
        scale: float | None = None,
        count: int = 1,
    ) -> Generation:
        """Generate pictures with a model; its trigger word is added when the prompt lacks it.

        Args:
            name: The model's name.
            prompt: What to draw.
            seed: Start of the noise; random when omitted.
            steps: Denoising steps.
            size: Edge of the pictures in pixels.
            scale: Strength of the LoRA; as deployed when omitted.
            count: Number of pictures; picture `i` uses `seed + i`.
        """
        generations = await self._house.generations()
        return await generations.generate(
            parse_name(name), prompt, seed=seed, steps=steps, size=size, scale=scale, count=count
        )

    async def models(self) -> tuple[ShippedModel, ...]:
        """List the models that were shipped and not retired, by name."""
        store = await self._house.store()
        models = await store.models()
        return tuple([ShippedModel(model, await store.placement(model.name)) for model in models])

    async def show(self, name: str) -> ShippedModel:
        """Read one model and where it is.

        Args:
            name: The model's name.

        Raises:
            ModelNotFound: No such model is known here.
        """
        store = await self._house.store()
        model = await store.model(parse_name(name))
        if model is None:
            home = str(self._house.settings.home)
            raise ModelNotFound(f"No model {name!r} is known here.", evidence={"home": home})
        return ShippedModel(model, await store.placement(name))

    async def status(self, name: str) -> Status | None:
        """Say where a model's delivery stands, stage by stage, in the platform's own words.

        Args:
            name: The model's name.

        Returns:
            `None` for a model that was never on its way.

        Raises:
            ModelNotFound: No such model is known here.
        """
        from lorry.journal import status_of

        placement = (await self.show(name)).placement
        if placement is None:
            return None
        store = await self._house.store()
        return status_of(placement, await store.read(name))

    async def estimates(self, route: str, *, rehearse: bool | None = None) -> dict[str, Estimate]:
        """Say how long each step of a route took in earlier deliveries from here, where there were enough.

        Args:
            route: The route.
            rehearse: As for `ship`.
        """
        from lorry.journal import read_estimates

        rehearsal = self._wish(route, rehearse, DEFAULT_OPTIONS).rehearsal
        known = await read_estimates(await self._house.store())
        return {
            key.step: estimate
            for key, estimate in known.items()
            if (key.route, key.rehearsal) == (route, rehearsal)
        }

    async def events(self, name: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Read a model's journal, oldest first.

        Args:
            name: The model's name.
            after: Leave out events up to this id.

        Raises:
            ModelNotFound: The journal has nothing about it.
        """
        for event in await self._known_events(name, after):
            yield event

    async def follow(self, name: str) -> AsyncIterator[Event]:
        """Read a model's journal and go on as it grows.

        Args:
            name: The model's name.

        Raises:
            ModelNotFound: The journal has nothing about it.
        """
        from lorry.journal import follow

        async def wait() -> bool:
            await asyncio.sleep(_LOOK_SECONDS)
            return True

        await self._known_events(name, 0)
        async for event in follow(await self._house.store(), name, wait):
            yield event

    async def _known_events(self, name: str, after: int) -> tuple[Event, ...]:
        store = await self._house.store()
        found = await store.read(parse_name(name), after)
        if not found and not after:
            raise ModelNotFound(f"Nothing is known about a model {name!r} here.")
        return found
