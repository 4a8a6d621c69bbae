"""The two workflows, and the dull loop that repeats each step until it is done or has failed.

Everything here must come out the same when it runs again over the kept answers, so it decides nothing:
`run.perform` decides, and its answers are kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from lorry.delivery.performing import Progress, perform
from lorry.delivery.plan import Plan
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run, Step, Values, World
from lorry.delivery.seen import model_from, tell_checked
from lorry.model.options import options_from
from lorry.model.placement import PlacementState

#: Who speaks in the journal.
DELIVERY = "delivery"
RETIRE = "retire"


class Durable(Protocol):
    """What the loop needs from a durable runtime."""

    async def step(self, name: str, act: Callable[[], Awaitable[Values]]) -> Values:
        """Run one step, and keep its answer."""

    async def sleep(self, seconds: float) -> None:
        """Pause within a step: a pause that is cut short is taken again, one of a finished step is not."""


class Workflows:
    """The bodies of the workflows `ship` and `retire`; each answers with the error's data or `None`.

    Args:
        world: What every delivery works with.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def ship(self, durable: Durable, values: Values) -> Values:
        """Take a checked model to ready; after a failure, stop what would bill, or leave it to a person."""
        run, plan = await self._opened(values, DELIVERY)
        await durable.step("check", lambda: tell_checked(run, values))
        answer = await walk(durable, run, from_step(plan.ship, values.get("start")))
        if answer is None:
            return {"error": None}
        error, hold = answer["error"], answer.get("hold", False)
        if not hold and (await durable.step("bills", lambda: _may_bill(run)))["bills"]:
            stop = Step("stop", "Stopping what would bill without use.", plan.halt)
            still = await repeat(durable, replace(run, due=None), stop)
            if still is not None:
                error = {**error, "evidence": {**error["evidence"], "not_stopped": still["error"]}}
        state = PlacementState.HELD if hold else PlacementState.FAILED
        await durable.step("fail", lambda: _fail(run, error, state))
        return {"error": error}

    async def retire(self, durable: Durable, values: Values) -> Values:
        """Take a model from wherever it is to nothing."""
        run, plan = await self._opened(values, RETIRE)
        answer = await walk(durable, run, plan.retire)
        error = answer["error"] if answer else None
        if error is not None:
            await durable.step("fail", lambda: _fail(run, error, PlacementState.RETIRING))
        return {"error": error}

    async def _opened(self, values: Values, speaker: str) -> tuple[Run, Plan]:
        """Open the route that a workflow's values name; opening sends nothing, so it may happen again."""
        model = model_from(values["model"])
        place = await self._world.places.place(values["route"], rehearsal=values["rehearsal"])
        due = datetime.fromisoformat(values["due"]) if values.get("due") else None
        run = Run(self._world, place, model, speaker, options_from(values["options"]), due)
        return run, plan_of(place.route, model.kind)


def from_step(steps: Sequence[Step], start: str | None) -> Sequence[Step]:
    """Leave out the steps before one.

    Args:
        steps: In order.
        start: Name of the first that shall be done; all of them when `None`.
    """
    names = [step.name for step in steps]
    return steps[names.index(start) :] if start in names else steps


async def walk(durable: Durable, run: Run, steps: Sequence[Step]) -> Values | None:
    """Take a model through steps.

    Args:
        durable: Keeps the answers.
        run: Whose way it is.
        steps: In order.

    Returns:
        What ended it: `error`, the data of an error, and `hold`; `None` when every step is done.
    """
    for step in steps:
        if not step.when(run):
            continue
        answer = await repeat(durable, run, step)
        if answer is not None:
            return answer
    return None


async def repeat(durable: Durable, run: Run, step: Step) -> Values | None:
    """Carry one step out until it is done (`None`) or has ended otherwise (`error`, and `hold`)."""
    progress: Progress | None = None
    pause = 0.0
    while True:
        answer = await durable.step(step.name, _until_news(durable, step, run, progress, pause))
        if "again" not in answer:
            return answer if "error" in answer else None
        progress, pause = Progress(**answer["progress"]), answer["again"]


def _until_news(
    durable: Durable, step: Step, run: Run, progress: Progress | None, pause: float
) -> Callable[[], Awaitable[Values]]:
    """Look again and again, and answer only what is worth a write: 1,000 deliveries wait in one process."""

    async def act() -> Values:
        before, after = progress, pause
        while True:
            if after:
                await durable.sleep(after)
            answer = await perform(step, run, before)
            if "again" not in answer:
                return answer
            now = Progress(**answer["progress"])
            if worth_keeping(progress, now, run.world.policy.kept):
                return answer
            before, after = now, answer["again"]

    return act


def worth_keeping(kept: Progress | None, now: Progress, every: float) -> bool:
    """Say whether the progress of a step is to be kept, or a kill may have it repeated.

    Args:
        kept: The progress that is kept already.
        now: The present one.
        every: Seconds of waiting that may be lost.
    """
    if kept is None or now.waited - kept.waited >= every:
        return True
    return (now.seen, now.failures, now.late) != (kept.seen, kept.failures, kept.late)


async def _may_bill(run: Run) -> Values:
    ids = (await run.placement()).ids
    return {"bills": ids.endpoint is not None or ids.container is not None}


async def _fail(run: Run, error: Values, state: PlacementState) -> Values:
    await run.save(state=state, error=error)
    return {"done": True}
