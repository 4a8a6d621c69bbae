"""The two workflows, and the dull loop that repeats each step until it is done or has failed.

Everything here must come out the same when it runs again over the kept answers, so it decides nothing:
`run.perform` decides, and its answers are kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from lorry.delivery.mending import Check
from lorry.delivery.retiring import retire_steps, stop_what_bills
from lorry.delivery.run import Progress, Run, Step, Values, World, perform
from lorry.delivery.seen import model_from, tell_checked
from lorry.delivery.steps import ship_steps
from lorry.model.placement import PlacementState

#: Who speaks in the journal.
DELIVERY = "delivery"
RETIRE = "retire"


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
        check: Reads and judges a model's files.
    """

    def __init__(self, world: World, check: Check) -> None:
        self._world = world
        self._steps = ship_steps(check)

    async def ship(self, durable: Durable, values: Values) -> Values:
        """Take a checked model to ready; after a failure, stop what would bill."""
        run = Run(self._world, model_from(values["model"]), DELIVERY)
        await durable.step("check", lambda: tell_checked(run, values))
        error = await walk(durable, run, self._steps)
        if error is None:
            return {"error": None}
        if (await durable.step("bills", lambda: _may_bill(run)))["bills"]:
            stop = Step("stop", "Stopping what would bill without use.", stop_what_bills)
            still = await repeat(durable, run, stop)
            if still is not None:
                error = {**error, "evidence": {**error["evidence"], "not_stopped": still}}
        await durable.step("fail", lambda: _fail(run, error, PlacementState.FAILED))
        return {"error": error}

    async def retire(self, durable: Durable, values: Values) -> Values:
        """Take a model from wherever it is to nothing."""
        run = Run(self._world, model_from(values["model"]), RETIRE)
        error = await walk(durable, run, retire_steps())
        if error is not None:
            await durable.step("fail", lambda: _fail(run, error, PlacementState.RETIRING))
        return {"error": error}


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
        await durable.sleep(answer["again"])


def _once(step: Step, run: Run, progress: Progress | None) -> Callable[[], Awaitable[Values]]:
    async def act() -> Values:
        return await perform(step, run, progress)

    return act


async def _may_bill(run: Run) -> Values:
    return {"bills": (await run.placement()).ids.endpoint is not None}


async def _fail(run: Run, error: Values, state: PlacementState) -> Values:
    await run.save(state=state, error=error)
    return {"done": True}
