"""Deliveries: ship, resume and retire models of one home, durably."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from lorry.delivery.durable import Runtime, fault
from lorry.delivery.lock import hold_home
from lorry.delivery.place import Place, Places
from lorry.delivery.policy import Course, Policy, course
from lorry.delivery.ports import Intents, Journal, Now, Records
from lorry.delivery.refusing import Agree, name_taken, nothing_to_resume, require_agreement
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run, Values, World
from lorry.delivery.seen import Eyes, Seen, look_at
from lorry.delivery.source import verify_source
from lorry.delivery.workflow import DELIVERY, Workflows
from lorry.errors import (
    DeliveryError,
    ModelNotFound,
    NameTaken,
    error_from,
)
from lorry.model.events import Event
from lorry.model.forecast import Price
from lorry.model.names import parse_name
from lorry.model.options import Wish
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel


class Deliveries:
    """Take models to a platform and away from it again; an asynchronous context manager.

    Entering takes the home's lock and opens the durable runtime; nothing is restarted by that. Leaving
    stops what runs in a state from which it can be resumed, also after Ctrl-C.

    Args:
        home: Folder of Lorry's own state.
        records: Models and placements.
        journal: Where every event is written; a decorator around one works too.
        intents: What is about to be created.
        places: Opens routes.
        now: The time, UTC.
        policy: How long to wait and how often to try.
        listen: Hears every event as it happens; must not raise or block.

    Raises:
        HomeBusy: On entering, when another process delivers in this home.
        StorageError: On entering, when the home can't be used.
    """

    def __init__(
        self,
        *,
        home: Path,
        records: Records,
        journal: Journal,
        intents: Intents,
        places: Places,
        now: Now,
        policy: Policy | None = None,
        listen: Callable[[Event], None] | None = None,
    ) -> None:
        self._world = World(home, records, journal, intents, places, now, policy or Policy(), listen or _deaf)
        workflows = Workflows(self._world)
        self._runtime = Runtime(home, {"ship": workflows.ship, "retire": workflows.retire})
        self._open = AsyncExitStack()
        self._turns: dict[str, asyncio.Lock] = {}
        self._running: dict[str, asyncio.Task[Values]] = {}

    async def __aenter__(self) -> Deliveries:
        async with AsyncExitStack() as opening:
            opening.enter_context(hold_home(self._world.home))
            await opening.enter_async_context(self._runtime)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def ship(
        self, source: str | Path, name: str, wish: Wish | None = None, agree: Agree | None = None
    ) -> Placement:
        """Take a model's files to a ready placement, or go on where an earlier call was stopped.

        Args:
            source: A .safetensors file, or what holds it: a folder, an archive, a Hub repository, an address.
            name: Lorry's name for the model.
            wish: Where it shall go; to the embedded engine when omitted.
            agree: Asked when something would be made that bills; nothing of the kind is made when omitted.

        Returns:
            The ready placement; at once when these files are ready under this name already and the platform
            still has them.

        Raises:
            NameInvalid: The name breaks the rules.
            WeightsRejected: The check found errors; nothing was created anywhere.
            NameTaken: The name belongs to other files, to another route, or is being removed.
            PriceNotAccepted: It would bill, and nobody agreed.
            PlatformError: The platform refused, or failed for longer than the policy allows.
            DeliveryError: The delivery ended; the same error is in the placement.
        """
        parse_name(name)
        wanted = wish or Wish()
        place = await self._world.places.place(wanted.route, rehearsal=wanted.rehearsal)
        seen = await self._look_at(source, name, place, wanted.options.base)
        async with self._turn(name):
            task = await self._begin(seen, wanted, place, agree)
        return await self._outcome(name, task)

    async def resume(self, name: str) -> Placement:
        """Go on with a delivery that was stopped or that failed, or bring back what the platform stopped.

        Args:
            name: Lorry's name of the model.

        Returns:
            The ready placement.

        Raises:
            ModelNotFound: Nothing of this name is known.
            NothingToResume: It is ready and answers, or is being removed.
            SourceChanged: The file is not the one that the delivery began with.
            LorryError: As `ship`.
        """
        async with self._turn(name):
            model = await self._known(name)
            placement = await self._world.records.placement(name)
            if placement and placement.state is PlacementState.RETIRING:
                raise nothing_to_resume(placement)
            wish = _wish_of(placement)
            place = await self._world.places.place(wish.route, rehearsal=wish.rehearsal)
            if placement and placement.state is PlacementState.READY:
                run = self._run_of(model, place, wish)
                if await plan_of(place.route, model.kind).serves(run):
                    raise nothing_to_resume(placement)
                await run.note("resume", "state", f"The platform does not run {name} any more.")
            if placement and placement.state is PlacementState.DELIVERING:
                task = await self._go_on(model, placement, place)
            else:
                seen = await self._look_again(model, place)
                task = await self._begin_anew(seen, model, placement, wish, place, _agreed_before)
        return await self._outcome(name, task)

    async def retire(self, name: str) -> None:
        """Remove a model from the platform, the Hub and Lorry's records; its journal stays.

        A delivery of it that still runs is stopped first. After an interruption the same call goes on.

        Args:
            name: Lorry's name of the model.

        Raises:
            ModelNotFound: Nothing of this name is known.
            PlatformError: The platform refused, or failed for longer than the policy allows.
        """
        async with self._turn(name):
            task = await self._begin_retiring(name)
        await self._end_of(name, task)

    # Beginning

    async def _begin(
        self, seen: Seen, wish: Wish, place: Place, agree: Agree | None
    ) -> asyncio.Task[Values] | None:
        name = seen.model.name
        known = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        match course(known, placement, seen.model.digest):
            case Course.TAKEN | Course.BEING_REMOVED as taken:
                raise name_taken(name, taken)
            case Course.NOTHING_TO_DO:
                self._require_same(placement, wish)
                run = self._run_of(seen.model, place, wish)
                if await plan_of(place.route, seen.model.kind).serves(run):
                    await run.note("ready", "state", f"{name} is ready already.")
                    return None
                await run.note("ready", "state", f"The platform does not run {name} any more.")
                return await self._begin_anew(seen, known, placement, wish, place, agree)
            case Course.GO_ON:
                self._require_same(placement, wish)
                return await self._go_on(known or seen.model, placement, place)
            case Course.BEGIN | Course.BEGIN_AGAIN:
                if placement is not None and placement.ids != ProviderIds():
                    self._require_same(placement, wish)  # what was made on the other route must not be lost
                return await self._begin_anew(seen, known, placement, wish, place, agree)

    def _require_same(self, placement: Placement | None, wish: Wish) -> None:
        if placement is None or (placement.route, placement.rehearsal) == (wish.route, wish.rehearsal):
            return
        played = " as a rehearsal" if placement.rehearsal else ""
        raise NameTaken(
            f"{placement.model} is on the route {placement.route}{played} already.",
            fix=f"Choose another `--name`, or run `lorry retire {placement.model}` first.",
            evidence={"model": placement.model, "route": placement.route, "rehearsal": placement.rehearsal},
        )

    async def _begin_anew(
        self,
        seen: Seen,
        known: TrainedModel | None,
        placement: Placement | None,
        wish: Wish,
        place: Place,
        agree: Agree | None,
    ) -> asyncio.Task[Values]:
        if known is not None:
            seen = replace(seen, model=replace(seen.model, created_at=known.created_at))
        # Says that nobody answers, or that a key is wrong, before anything is made anywhere.
        plan = plan_of(place.route, seen.model.kind)
        price = await plan.begin(self._run_of(seen.model, place, wish))
        await require_agreement(price, agree)
        name = seen.model.name
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        await self._world.records.save_model(seen.model)
        changes = {"state": PlacementState.DELIVERING, "step": None, "proof": None, "error": None}
        asked = {"route": wish.route, "rehearsal": wish.rehearsal, "options": wish.options}
        await self._put(seen.model, placement, wish, **changes, **asked)
        values = {**seen.as_values(), **_as_values(wish)}
        self._running[name] = await self._runtime.start("ship", f"ship:{name}:", values)
        return self._running[name]

    async def _go_on(
        self, model: TrainedModel, placement: Placement | None, place: Place
    ) -> asyncio.Task[Values]:
        name = model.name
        running = self._running.get(name)
        if running is not None and not running.done():
            return running
        wish = _wish_of(placement)
        stopped = await self._runtime.unfinished(f"ship:{name}:")
        if not stopped:  # killed before its workflow began
            seen = await self._look_again(model, place)
            return await self._begin_anew(seen, model, placement, wish, place, _agreed_before)
        if placement is None or placement.ids.revision is None:
            await verify_source(model)
        await self._run_of(model, place, wish).note("resume", "state", "Going on where it was stopped.")
        self._running[name] = await self._runtime.resume(stopped[-1])
        return self._running[name]

    async def _begin_retiring(self, name: str) -> asyncio.Task[Values]:
        stopped = await self._runtime.unfinished(f"retire:{name}:")
        model = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        retiring = placement is not None and placement.state is PlacementState.RETIRING
        if stopped and (model is None or retiring):  # without a model: killed right after forgetting it
            return await self._runtime.resume(stopped[-1])
        model = await self._known(name)
        wish = _wish_of(placement)
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        await self._put(model, placement, wish, state=PlacementState.RETIRING, error=None)
        values = {"model": model.as_dict(), **_as_values(wish)}
        return await self._runtime.start("retire", f"retire:{name}:", values)

    async def _look_at(self, source: str | Path, name: str, place: Place, base: str | None) -> Seen:
        world = self._world
        eyes = Eyes(place.check, place.mender, world.home, world.now, world.listen, DELIVERY, base)
        return await look_at(source, name, eyes)

    async def _look_again(self, model: TrainedModel, place: Place) -> Seen:
        await verify_source(model)
        return await self._look_at(Path(model.source), model.name, place, model.base)

    async def _known(self, name: str) -> TrainedModel:
        model = await self._world.records.model(name)
        if model is None:
            raise ModelNotFound(f"No model is named {name}.", evidence={"model": name})
        return model

    async def _put(
        self, model: TrainedModel, placement: Placement | None, wish: Wish, **changes: Any
    ) -> None:
        now = self._world.now()
        present = placement or Placement(
            model.name, wish.route, PlacementState.DELIVERING, None, ProviderIds(), None, None, now
        )
        await self._world.records.save_placement(replace(present, **changes, updated_at=now))

    def _run_of(self, model: TrainedModel, place: Place, wish: Wish) -> Run:
        return Run(self._world, place, model, DELIVERY, wish.options)

    # Ending

    async def _outcome(self, name: str, task: asyncio.Task[Values] | None) -> Placement:
        if task is not None:
            await self._end_of(name, task)
        placement = await self._world.records.placement(name)
        if placement is None:
            raise DeliveryError(f"{name} was retired while it was delivered.", evidence={"model": name})
        return placement

    async def _end_of(self, name: str, task: asyncio.Task[Values]) -> None:
        await asyncio.wait({task})  # leaves the task alone when the caller is cancelled
        if task.cancelled():
            raise DeliveryError(
                f"The work on {name} was stopped before its end.",
                fix=f"Run `lorry show {name}` to see where it stands.",
                evidence={"model": name},
            )
        failure = task.exception()
        if failure is not None:
            raise fault(failure, self._world.home) from failure
        error = task.result()["error"]
        if error is not None:
            raise error_from(error)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())


def _wish_of(placement: Placement | None) -> Wish:
    return Wish(placement.route, placement.rehearsal, placement.options) if placement else Wish()


def _as_values(wish: Wish) -> Values:
    return {"route": wish.route, "rehearsal": wish.rehearsal, "options": wish.options.given()}


async def _agreed_before(_: Price) -> bool:
    """Agree to what was agreed to when the model was shipped first."""
    return True


def _deaf(_: Event) -> None:
    """Listen to nothing."""
