"""What is to be done with a model, and the workflow that does it: begun, gone on with, or begun anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from lorry.delivery.durable import Runtime
from lorry.delivery.place import Place
from lorry.delivery.policy import Course, course
from lorry.delivery.refusing import (
    Agree,
    name_taken,
    nothing_to_resume,
    other_route,
    require_agreement,
    unknown_step,
    unplaced,
)
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run, Values, World
from lorry.delivery.seen import Eyes, Seen, look_at
from lorry.delivery.source import verify_source
from lorry.delivery.workflow import DELIVERY, RETIRE
from lorry.errors import ModelNotFound
from lorry.model.forecast import Price
from lorry.model.options import Wish
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel

Work = asyncio.Task[Values]


class Beginnings:
    """Begins the work on one model at a time; the caller holds the model's delivery.

    Args:
        world: What every delivery works with.
        runtime: Runs the workflows.
    """

    def __init__(self, world: World, runtime: Runtime) -> None:
        self._world = world
        self._runtime = runtime
        self._running: dict[str, Work] = {}

    def running(self, name: str) -> Work | None:
        """Give what this process does with a model, if it does anything."""
        task = self._running.get(name)
        return task if task is not None and not task.done() else None

    async def ship(self, seen: Seen, wish: Wish, place: Place, agree: Agree | None) -> Work | None:
        """Begin what shipping these files comes to; `None` when there is nothing to do."""
        name = seen.model.name
        known = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        match course(known, placement, seen.model.digest):
            case Course.TAKEN | Course.BEING_REMOVED as taken:
                raise name_taken(name, taken)
            case Course.NOTHING_TO_DO:
                _require_same(placement, wish)
                run = self._run_of(seen.model, place, wish)
                if await plan_of(place.route, seen.model.kind).serves(run):
                    await run.note("ready", "state", f"{name} is ready already.")
                    return None
                await run.note("ready", "state", f"The platform does not run {name} any more.")
                return await self._begin_anew(seen, known, placement, wish, place, agree)
            case Course.GO_ON:
                _require_same(placement, wish)
                return await self.go_on(known or seen.model, placement)
            case Course.BEGIN | Course.BEGIN_AGAIN:
                if placement is not None and placement.ids != ProviderIds():
                    _require_same(placement, wish)  # what was made on the other route must not be lost
                return await self._begin_anew(seen, known, placement, wish, place, agree)

    async def hand_over(self, seen: Seen, wish: Wish, place: Place, agree: Agree | None) -> None:
        """Write down what is to be shipped, for a worker to begin; what is under way or ready stays so."""
        name = seen.model.name
        known = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        found = course(known, placement, seen.model.digest)
        if found in (Course.TAKEN, Course.BEING_REMOVED):
            raise name_taken(name, found)
        if found in (Course.NOTHING_TO_DO, Course.GO_ON):
            _require_same(placement, wish)
            return
        if placement is not None and placement.ids != ProviderIds():
            _require_same(placement, wish)
        await self._write_down(seen, known, placement, wish, place, agree)
        await self._run_of(seen.model, place, wish).note("submit", "state", f"{name} waits for a worker.")

    async def resume(self, name: str) -> Work:
        """Go on with what was stopped, failed or is held, or bring back what the platform stopped."""
        model = await self.known(name)
        placement = await self._world.records.placement(name)
        if placement is None:
            raise unplaced(name)
        if placement.state is PlacementState.RETIRING:
            raise nothing_to_resume(placement)
        if placement.state is PlacementState.DELIVERING:
            return await self.go_on(model, placement)
        wish = _wish_of(placement)
        place = await self._place(wish)
        if placement.state is PlacementState.READY:
            run = self._run_of(model, place, wish)
            if await plan_of(place.route, model.kind).serves(run):
                raise nothing_to_resume(placement)
            await run.note("resume", "state", f"The platform does not run {name} any more.")
        seen = await self._look_again(model, place)
        return await self._begin_anew(seen, model, placement, wish, place, _agreed_before)

    async def retry(self, name: str, start: str) -> Work:
        """Do a delivery again from one of its steps on; those before it have been done."""
        model = await self.known(name)
        placement = await self._world.records.placement(name)
        if placement is None or placement.state is PlacementState.RETIRING:
            raise nothing_to_resume(placement) if placement else unplaced(name)
        wish = _wish_of(placement)
        place = await self._place(wish)
        run = self._run_of(model, place, wish)
        names = [step.name for step in plan_of(place.route, model.kind).ship if step.when(run)]
        done = [step for step in names if step in await self._done(name)]
        possible = names[: names.index(done[-1]) + 2] if done else names[:1]
        if start not in possible:
            raise unknown_step(name, start, possible, done[-1] if done else None)
        if placement.ids.revision is None:
            await verify_source(model)
        await run.note("retry", "state", f"Doing it again from {start} on.")
        seen = Seen(model)
        return await self._begin_anew(seen, model, placement, wish, place, _agreed_before, start)

    async def go_on(self, model: TrainedModel, placement: Placement | None) -> Work:
        """Go on with a delivery where it was stopped."""
        name = model.name
        running = self.running(name)
        if running is not None:
            return running
        wish = _wish_of(placement)
        place = await self._place(wish)
        stopped = await self._runtime.unfinished(f"ship:{name}:")
        if not stopped:  # killed before its workflow began, handed over, or begun by an older version
            seen = await self._look_again(model, place)
            return await self._begin_anew(seen, model, placement, wish, place, _agreed_before)
        if placement is None or placement.ids.revision is None:
            await verify_source(model)
        await self._run_of(model, place, wish).note("resume", "state", "Going on where it was stopped.")
        return self._keep(name, await self._runtime.resume(stopped[-1]))

    async def retire(self, name: str) -> Work:
        """Begin to remove a model, or go on with that; a delivery that this process runs is stopped."""
        running = self.running(name)
        stopped = await self._runtime.unfinished(f"retire:{name}:")
        model = await self._world.records.model(name)
        placement = await self._world.records.placement(name)
        retiring = placement is not None and placement.state is PlacementState.RETIRING
        if stopped and (model is None or retiring):  # without a model: killed right after forgetting it
            return running or self._keep(name, await self._runtime.resume(stopped[-1]))
        model = await self.known(name)
        wish = _wish_of(placement)
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        retired = self._placed(model, placement, wish, state=PlacementState.RETIRING, error=None)
        await self._world.records.save_placement(retired)
        values = {"model": model.as_dict(), **_as_values(wish)}
        return self._keep(name, await self._runtime.start("retire", f"retire:{name}:", values))

    async def hold(self, name: str, sentence: str) -> None:
        """Stop a delivery, and leave everything as it is until a person decides."""
        model = await self.known(name)
        placement = await self._world.records.placement(name)
        wish = _wish_of(placement)
        await self._runtime.discard(f"ship:{name}:")
        held = self._placed(model, placement, wish, state=PlacementState.HELD)
        await self._world.records.save_placement(held)
        run = self._run_of(model, await self._place(wish), wish)
        await run.note("cancel", "state", sentence)

    async def halt(self, name: str) -> None:
        """Stop what this process does with a model; it can be gone on with."""
        await self._runtime.halt(f"ship:{name}:", f"retire:{name}:")

    async def _done(self, name: str) -> set[str]:
        """Read which steps of a model's deliveries were done since it was last removed."""
        done: set[str] = set()
        for event in await self._world.journal.read(name):
            if event.source == RETIRE:
                done.clear()
            elif event.action == "done":
                done.add(event.subject)
        return done

    async def known(self, name: str) -> TrainedModel:
        """Read a model. Raises ModelNotFound when there is none of the name."""
        model = await self._world.records.model(name)
        if model is None:
            raise ModelNotFound(f"No model is named {name}.", evidence={"model": name})
        return model

    async def look_at(self, source: str | Path, name: str, place: Place, base: str | None) -> Seen:
        """Check files, and convert them where the route needs it."""
        world = self._world
        eyes = Eyes(place.check, place.mender, world.home, world.now, world.listen, DELIVERY, base)
        return await look_at(source, name, eyes)

    async def _look_again(self, model: TrainedModel, place: Place) -> Seen:
        await verify_source(model)
        return await self.look_at(Path(model.source), model.name, place, model.base)

    async def _place(self, wish: Wish) -> Place:
        return await self._world.places.place(wish.route, rehearsal=wish.rehearsal)

    async def _begin_anew(
        self,
        seen: Seen,
        known: TrainedModel | None,
        placement: Placement | None,
        wish: Wish,
        place: Place,
        agree: Agree | None,
        start: str | None = None,
    ) -> Work:
        name = seen.model.name
        seen = await self._write_down(seen, known, placement, wish, place, agree, start)
        values = {**seen.as_values(), **_as_values(wish), "start": start, "due": self._due(wish)}
        return self._keep(name, await self._runtime.start("ship", f"ship:{name}:", values))

    async def _write_down(
        self,
        seen: Seen,
        known: TrainedModel | None,
        placement: Placement | None,
        wish: Wish,
        place: Place,
        agree: Agree | None,
        start: str | None = None,
    ) -> Seen:
        """Write what is under way, before its workflow begins."""
        if known is not None:
            seen = replace(seen, model=replace(seen.model, created_at=known.created_at))
        # Says that nobody answers, or that a key is wrong, before anything is made anywhere.
        plan = plan_of(place.route, seen.model.kind)
        price = await plan.begin(self._run_of(seen.model, place, wish))
        await self._require_budget(seen.model, wish, price)
        await require_agreement(price, agree)
        name = seen.model.name
        await self._runtime.discard(f"ship:{name}:", f"retire:{name}:")
        changes: dict[str, Any] = {"state": PlacementState.DELIVERING, "proof": None, "error": None}
        if start is None:
            changes["step"] = None
        asked = {"route": wish.route, "rehearsal": wish.rehearsal, "options": wish.options}
        # At once, or a kill between the two would leave a model that nobody knows where to send.
        placed = self._placed(seen.model, placement, wish, **changes, **asked)
        await self._world.records.save_model(seen.model, placed)
        return seen

    async def _require_budget(self, model: TrainedModel, wish: Wish, price: Price | None) -> None:
        """Go on only if an hour of what is made fits into the budgets; a rehearsal costs nobody anything."""
        owed = price is not None and price.per == "replica-hour" and not wish.rehearsal
        if owed and wish.route != "local" and self._world.allow is not None and price is not None:
            await self._world.allow(model, (price.cents or 0.0) * wish.options.min_replicas)

    def _due(self, wish: Wish) -> str | None:
        minutes = wish.options.deadline
        return None if minutes is None else (self._world.now() + timedelta(minutes=minutes)).isoformat()

    def _placed(
        self, model: TrainedModel, placement: Placement | None, wish: Wish, **changes: Any
    ) -> Placement:
        now = self._world.now()
        present = placement or Placement(
            model.name, wish.route, PlacementState.DELIVERING, None, ProviderIds(), None, None, now
        )
        return replace(present, **changes, updated_at=now)

    def _run_of(self, model: TrainedModel, place: Place, wish: Wish) -> Run:
        return Run(self._world, place, model, DELIVERY, wish.options)

    def _keep(self, name: str, task: Work) -> Work:
        self._running[name] = task
        return task


def _wish_of(placement: Placement | None) -> Wish:
    return Wish(placement.route, placement.rehearsal, placement.options) if placement else Wish()


def _as_values(wish: Wish) -> Values:
    return {"route": wish.route, "rehearsal": wish.rehearsal, "options": wish.options.given()}


def _require_same(placement: Placement | None, wish: Wish) -> None:
    if placement and (placement.route, placement.rehearsal) != (wish.route, wish.rehearsal):
        raise other_route(placement)


async def _agreed_before(_: Price) -> bool:
    """Agree to what was agreed to when the model was shipped first."""
    return True
