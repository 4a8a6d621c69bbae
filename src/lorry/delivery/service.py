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
from lorry.delivery.mending import Check, Leave, Mender
from lorry.delivery.policy import Course, Policy, course
from lorry.delivery.ports import Intents, Journal, Now, Platform, Publisher, Records
from lorry.delivery.run import Run, Values, World
from lorry.delivery.seen import Eyes, Seen, look_at
from lorry.delivery.source import verify_source
from lorry.delivery.steps import servable_base, still_serves
from lorry.delivery.workflow import DELIVERY, Workflows
from lorry.errors import DeliveryError, ModelNotFound, NameTaken, NothingToResume, error_from
from lorry.model.events import Event
from lorry.model.names import parse_name
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.model.report import WeightsReport


class Deliveries:
    """Take models to a platform and away from it again; an asynchronous context manager.

    Entering takes the home's lock and opens the durable runtime; nothing is restarted by that. Leaving
    stops what runs in a state from which it can be resumed, also after Ctrl-C.

    Args:
        home: Folder of Lorry's own state.
        records: Models and placements.
        journal: Where every event is written; a decorator around one works too.
        intents: What is about to be created.
        publisher: The Hub.
        platform: Where models go.
        now: The time, UTC.
        policy: How long to wait and how often to try.
        listen: Hears every event as it happens; must not raise or block.
        check: Reads and judges a model's files; `lorry.weights.check` when omitted.
        mender: Converts files that the route does not take as they are; nothing is converted when omitted.

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
        publisher: Publisher,
        platform: Platform,
        now: Now,
        policy: Policy | None = None,
        listen: Callable[[Event], None] | None = None,
        check: Check | None = None,
        mender: Mender | None = None,
    ) -> None:
        self._world = World(
            home, records, journal, intents, publisher, platform, now, policy or Policy(), listen or _deaf
        )
        self._eyes = Eyes(check or _check, mender or Leave(), home, now, self._world.listen, DELIVERY)
        workflows = Workflows(self._world, self._eyes.check)
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

    async def ship(self, source: str | Path, name: str) -> Placement:
        """Take a model's files to a ready placement, or go on where an earlier call was stopped.

        Args:
            source: A .safetensors file, or what holds it: a folder, an archive, a Hub repository, an address.
            name: Lorry's name for the model.

        Returns:
            The ready placement; at once when these files are ready under this name already and the platform
            still has them.

        Raises:
            NameInvalid: The name breaks the rules.
            WeightsRejected: The check found errors; nothing was created anywhere.
            NameTaken: The name belongs to other files, or is being removed.
            PlatformError: The platform refused, or failed for longer than the policy allows.
            DeliveryError: The delivery ended; the same error is in the placement.
        """
        parse_name(name)
        seen = await self._look_at(source, name)
        async with self._turn(name):
            task = await self._begin(seen)
        return await self._outcome(name, task)

    async def resume(self, name: str) -> Placement:
        """Go on with a delivery that was stopped or that failed.

        Args:
            name: Lorry's name of the model.

        Returns:
            The ready placement.

        Raises:
            ModelNotFound: Nothing of this name is known.
            NothingToResume: It is ready, or being removed.
            SourceChanged: The file is not the one that the delivery began with.
            LorryError: As `ship`.
        """
        async with self._turn(name):
            model = await self._known(name)
            placement = await self._world.records.placement(name)
            if placement and placement.state in (PlacementState.READY, PlacementState.RETIRING):
                raise _nothing_to_resume(placement)
            if placement and placement.state is PlacementState.DELIVERING:
                task = await self._go_on(model, placement)
            else:
                task = await self._begin_anew(await self._look_again(model), model, placement)
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

    async def _begin(self, seen: Seen) -> asyncio.Task[Values] | None:
        name = seen.model.name
        known = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        match course(known, placement, seen.model.digest):
            case Course.TAKEN | Course.BEING_REMOVED as taken:
                raise _name_taken(name, taken)
            case Course.NOTHING_TO_DO:
                run = self._run_of(seen.model, DELIVERY)
                if await still_serves(run):
                    await run.note("ready", "state", f"{name} is ready already.")
                    return None
                await run.note(
                    "ready", "state", f"The platform has no running deployment of {name} any more."
                )
                return await self._begin_anew(seen, known, placement)
            case Course.GO_ON:
                return await self._go_on(known or seen.model, placement)
            case Course.BEGIN | Course.BEGIN_AGAIN:
                return await self._begin_anew(seen, known, placement)

    async def _begin_anew(
        self, seen: Seen, known: TrainedModel | None, placement: Placement | None
    ) -> asyncio.Task[Values]:
        if known is not None:
            seen = replace(seen, model=replace(seen.model, created_at=known.created_at))
        # Says that nobody answers, or that a key is wrong, before anything is made anywhere.
        await servable_base(self._run_of(seen.model, DELIVERY))
        name = seen.model.name
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        await self._world.records.save_model(seen.model)
        await self._put(
            seen.model, placement, state=PlacementState.DELIVERING, step=None, proof=None, error=None
        )
        self._running[name] = await self._runtime.start("ship", f"ship:{name}:", seen.as_values())
        return self._running[name]

    async def _go_on(self, model: TrainedModel, placement: Placement | None) -> asyncio.Task[Values]:
        name = model.name
        running = self._running.get(name)
        if running is not None and not running.done():
            return running
        stopped = await self._runtime.unfinished(f"ship:{name}:")
        if not stopped:  # killed before its workflow began
            return await self._begin_anew(await self._look_again(model), model, placement)
        if placement is None or placement.ids.revision is None:
            await verify_source(model)
        await self._run_of(model, DELIVERY).note("resume", "state", "Going on where it was stopped.")
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
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        await self._put(model, placement, state=PlacementState.RETIRING, error=None)
        return await self._runtime.start("retire", f"retire:{name}:", {"model": model.as_dict()})

    async def _look_at(self, source: str | Path, name: str) -> Seen:
        return await look_at(source, name, self._eyes)

    async def _look_again(self, model: TrainedModel) -> Seen:
        await verify_source(model)
        return await self._look_at(Path(model.source), model.name)

    async def _known(self, name: str) -> TrainedModel:
        model = await self._world.records.model(name)
        if model is None:
            raise ModelNotFound(f"No model is named {name}.", evidence={"model": name})
        return model

    async def _put(self, model: TrainedModel, placement: Placement | None, **changes: Any) -> None:
        now, route = self._world.now(), self._world.platform.route
        present = placement or Placement(
            model.name, route, PlacementState.DELIVERING, None, ProviderIds(), None, None, now
        )
        await self._world.records.save_placement(replace(present, **changes, updated_at=now))

    def _run_of(self, model: TrainedModel, speaker: str) -> Run:
        return Run(self._world, model, speaker)

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


def _nothing_to_resume(placement: Placement) -> NothingToResume:
    name = placement.model
    retiring = placement.state is PlacementState.RETIRING
    return NothingToResume(
        f"{name} has no unfinished delivery. {placement.state.sentence}",
        fix=f"Run `lorry {'retire' if retiring else 'show'} {name}`.",
        evidence={"model": name, "state": str(placement.state)},
    )


def _name_taken(name: str, why: Course) -> NameTaken:
    if why is Course.BEING_REMOVED:
        message = f"{name} is being removed."
        fix = f"Run `lorry retire {name}` to finish that, then ship it again."
    else:
        message = f"{name} is the name of a model with other weights."
        fix = f"Choose another `--name`, or run `lorry retire {name}` first."
    return NameTaken(message, fix=fix, evidence={"model": name})


def _check(source: str | Path) -> WeightsReport:
    from lorry.weights import check

    return check(source)


def _deaf(_: Event) -> None:
    """Listen to nothing."""
