"""One step of a delivery, carried out: told to the journal, noted in the placement, answered as values."""

from __future__ import annotations

import errno
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from lorry.delivery.run import Done, Pending, Run, Step, Values
from lorry.errors import DeliveryTimeout, DiskFull, InternalError, LorryError, NotWritable
from lorry.journal import step_done, step_failed, step_retrying, step_started
from lorry.model.options import HOLD, KEEP_TRYING


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the repetitions of a step have come; kept between them as JSON values.

    Attributes:
        began: When the step began (ISO 8601).
        looks: Looks at something that was not ready.
        waited: Seconds of pauses between looks and tries. Pauses are counted, not the clock, so that the time
            between a kill and a resume takes nothing from the limit.
        failures: Errors in a row that might pass.
        seen: What was seen last.
        late: Whether its time is over and it keeps trying all the same.
    """

    began: str
    looks: int = 0
    waited: float = 0.0
    failures: int = 0
    seen: str = ""
    late: bool = False


async def perform(step: Step, run: Run, progress: Progress | None) -> Values:
    """Carry a step out once, and answer what comes next.

    Args:
        step: Which.
        run: Whose.
        progress: From its last repetition; `None` at the first.

    Returns:
        JSON values under one of the keys `done` (true), `error` (an error's data, and `hold` where a person
        shall decide), or `again` (seconds to pause) with `progress`.
    """
    async with run.world.files if step.heavy else nullcontext():
        return await _perform(step, run, progress)


async def _perform(step: Step, run: Run, progress: Progress | None) -> Values:
    world = run.world
    await world.hold.keep(run.model.name)
    if progress is None:
        began = world.now()
        progress = Progress(began.isoformat())
        await run.tell(step_started(run.model.name, run.source, step.name, step.doing, began))
    if _overdue(run):
        return await _over(step, run, progress, _too_late(step, run))
    try:
        outcome = await step.act(run)
    except LorryError as error:
        return await _failed(step, run, progress, error)
    except OSError as error:
        return await _failed(step, run, progress, disk_error(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours must end as an error with a next step too
        return await _failed(step, run, progress, _internal(step, error))
    if isinstance(outcome, Pending):
        return await _pending(step, run, progress, outcome)
    await _ended_well(step, run, progress, outcome)
    return {"done": True}


async def _ended_well(step: Step, run: Run, progress: Progress, outcome: Done) -> None:
    placement = await run.world.records.placement(run.model.name)
    if placement is not None:  # the last step of retiring forgets it
        await run.save(step=step.name, ids=replace(placement.ids, **outcome.ids))
    began = datetime.fromisoformat(progress.began)
    at = run.world.now()
    data = {**outcome.data, "route": run.place.route}
    if run.place.rehearsal:  # its times say nothing about the platform's
        data["rehearsal"] = True
    await run.tell(step_done(run.model.name, run.source, step.name, outcome.message, at, began, data))
    await run.world.hold.settle(run.model.name)


async def _pending(step: Step, run: Run, progress: Progress, outcome: Pending) -> Values:
    policy, waited = run.world.policy, progress.waited
    pause = policy.look_again(step.name, progress.looks + 1, waited, _seed(step, run, progress))
    if pause is None:
        if run.options.at_deadline != KEEP_TRYING:
            return await _over(step, run, progress, _waited_out(step, run, progress, outcome))
        progress = await _going_on(step, run, progress)
        pause = policy.slowest
    if outcome.message != progress.seen:
        await run.note(step.name, "state", outcome.message, {"said": outcome.said} if outcome.said else None)
    pause = _not_beyond(run, pause)
    after = replace(
        progress,
        looks=progress.looks + 1,
        waited=waited + pause,
        failures=0,
        seen=outcome.message,
    )
    return {"again": pause, "progress": _as_values(after)}


async def _failed(step: Step, run: Run, progress: Progress, error: LorryError) -> Values:
    failures = progress.failures + 1
    at = run.world.now()
    policy, seed = run.world.policy, _seed(step, run, progress)
    after = policy.try_again(step.name, error, failures, progress.waited, seed)
    if after is None and error.retryable and run.options.at_deadline == KEEP_TRYING:
        progress = await _going_on(step, run, progress)
        after = policy.longest_retry
    if after is None:
        return await _end(step, run, progress, error)
    after = _not_beyond(run, after)
    await run.tell(step_retrying(run.model.name, run.source, step.name, error, at, after))
    again = replace(progress, failures=failures, waited=progress.waited + after)
    return {"again": after, "progress": _as_values(again)}


async def _over(step: Step, run: Run, progress: Progress, error: LorryError) -> Values:
    """End a step whose time is over, or leave it as it stands for a person to decide."""
    answer = await _end(step, run, progress, error)
    return {**answer, "hold": True} if run.options.at_deadline == HOLD else answer


async def _end(step: Step, run: Run, progress: Progress, error: LorryError) -> Values:
    began = datetime.fromisoformat(progress.began)
    await run.tell(step_failed(run.model.name, run.source, step.name, error, run.world.now(), began))
    return {"error": error.as_dict()}


async def _going_on(step: Step, run: Run, progress: Progress) -> Progress:
    """Tell once that the time of a step is over, and that it goes on all the same, as was asked for."""
    if not progress.late:
        limit = run.world.policy.limit_of(step.name)
        about = f"{step.name} is beyond its limit of {limit:.3g} s; it keeps trying, as was asked for."
        await run.note(step.name, "late", about, {"waited": progress.waited, "limit": limit})
    return replace(progress, late=True)


def _waited_out(step: Step, run: Run, progress: Progress, outcome: Pending) -> LorryError:
    waited, limit = progress.waited, run.world.policy.limit_of(step.name)
    return DeliveryTimeout(
        f"{step.name} waited {waited:.3g} s, its limit is {limit:.3g} s: {outcome.message}",
        fix=f"Run `lorry resume {run.model.name}` to go on waiting from where it stands.",
        evidence={"step": step.name, "waited": waited, "limit": limit, "looks": progress.looks},
    )


def _overdue(run: Run) -> bool:
    return run.due is not None and run.options.at_deadline != KEEP_TRYING and run.world.now() >= run.due


def _too_late(step: Step, run: Run) -> LorryError:
    minutes, due = run.options.deadline, run.due.isoformat() if run.due else None
    return DeliveryTimeout(
        f"The delivery of {run.model.name} was to take {minutes:g} minutes at most, and is at {step.name}.",
        fix=f"Run `lorry resume {run.model.name}` to give it the same time again.",
        evidence={"step": step.name, "deadline_minutes": minutes, "due": due},
    )


def _not_beyond(run: Run, pause: float) -> float:
    """Shorten a pause so that the end of the delivery's time is not slept through."""
    if run.due is None or run.options.at_deadline == KEEP_TRYING:
        return pause
    left = (run.due - run.world.now()).total_seconds()
    return min(pause, max(0.0, left))


def _seed(step: Step, run: Run, progress: Progress) -> str:
    """Tell this pause from all others, and give the same one when the workflow runs again."""
    return f"{run.model.name}/{step.name}/{progress.looks}/{progress.failures}"


def _as_values(progress: Progress) -> Values:
    return {name: getattr(progress, name) for name in Progress.__slots__}


def disk_error(error: OSError) -> LorryError:
    """Turn an error of our own disk into ours."""
    kind = DiskFull if error.errno == errno.ENOSPC else NotWritable
    where = f" for {error.filename}" if error.filename else ""
    return kind(f"The disk refused{where}: {error.strerror or error}.", evidence={"errno": error.errno})


def _internal(step: Step, error: Exception) -> InternalError:
    return InternalError(
        f"The step {step.name} met a fault of Lorry's: {type(error).__name__}: {error}",
        evidence={"step": step.name, "type": type(error).__name__, "text": str(error)},
    )
