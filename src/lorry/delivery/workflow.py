"""The two workflows, and the dull loop that repeats each step until it is done or has failed.

Everything here must come out the same when it runs again over the kept answers, so it decides nothing:
`run.perform` decides, and its answers are kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from lorry.delivery.plan import Plan
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Progress, Run, Step, Values, World, perform
from lorry.delivery.seen import model_from, tell_checked
from lorry.model.options import options_from
from lorry.model.placement import PlacementState

#: Who speaks in the journal.
DELIVERY = "delivery"
RETIRE = "retire"
#: The longest sleep at once, seconds.
_NAP = 5.0


class Durable(Protocol):
    """What the loop needs from a durable runtime."""

    async def step(self, name: str, act: Callable[[], Awaitable[Values]]) -> Values:
        """Run one step, and keep its answer."""

    async def sleep(self, seconds: float) -> None:
        """Pause durably."""


class Workflows:
    """The bodies of the workflows `ship` and `retire`; each answers with the error's data or `None`.

    Args:
        world: What every delivery works with.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def ship(self, durable: Durable, values: Values) -> Values:
        """Take a checked model to ready; after a failure, stop what would bill."""
        run, plan = await self._opened(values, DELIVERY)
        await durable.step("check", lambda: tell_checked(run, values))
        error = await walk(durable, run, plan.ship)
        if error is None:
            return {"error": None}
        if (await durable.step("bills", lambda: _may_bill(run)))["bills"]:
            stop = Step("stop", "Stopping what would bill without use.", plan.halt)
            still = await repeat(durable, run, stop)
            if still is not None:
                error = {**error, "evidence": {**error["evidence"], "not_stopped": still}}
        await durable.step("fail", lambda: _fail(run, error, PlacementState.FAILED))
        return {"error": error}

    async def retire(self, durable: Durable, values: Values) -> Values:
        """Take a model from wherever it is to nothing."""
        run, plan = await self._opened(values, RETIRE)
        error = await walk(durable, run, plan.retire)
        if error is not None:
            await durable.step("fail", lambda: _fail(run, error, PlacementState.RETIRING))
        return {"error": error}

    async def _opened(self, values: Values, speaker: str) -> tuple[Run, Plan]:
        """Open the route that a workflow's values name; opening sends nothing, so it may happen again."""
        model = model_from(values["model"])
        place = await self._world.places.place(values["route"], rehearsal=values["rehearsal"])
        run = Run(self._world, place, model, speaker, options_from(values["options"]))
        return run, plan_of(place.route, model.kind)


async def walk(durable: Durable, run: Run, steps: Sequence[Step]) -> Values | None:
    """Take a model through steps.

    Args:
        durable: Keeps the answers.
        run: Whose way it is.
        steps: In order.

    Returns:
        The data of the error that ended it, or `None` when every step is done.
    """
    for step in steps:
        if not step.when(run):
            continue
        error = await repeat(durable, run, step)
        if error is not None:
            return error
    return None


async def repeat(durable: Durable, run: Run, step: Step) -> Values | None:
    """Carry one step out until it is done (`None`) or has failed (the error's data)."""
    progress: Progress | None = None
    while True:
        answer = await durable.step(step.name, _once(step, run, progress))
        if "again" not in answer:
            return answer.get("error")
        progress = Progress(**answer["progress"])
        for nap in naps(answer["again"]):
            await durable.sleep(nap)


def _once(step: Step, run: Run, progress: Progress | None) -> Callable[[], Awaitable[Values]]:
    async def act() -> Values:
        return await perform(step, run, progress)

    return act


def naps(seconds: float) -> list[float]:
    """Cut a pause into pieces: a cancellation waits for the end of one ("Control-plane stack", 1.4 rule 8).

    Args:
        seconds: The whole pause.
    """
    whole = int(seconds // _NAP)
    rest = seconds - whole * _NAP
    return [_NAP] * whole + ([rest] if rest > 0 or not whole else [])


async def _may_bill(run: Run) -> Values:
    ids = (await run.placement()).ids
    return {"bills": ids.endpoint is not None or ids.container is not None}


async def _fail(run: Run, error: Values, state: PlacementState) -> Values:
    await run.save(state=state, error=error)
    return {"done": True}
