"""One step of a delivery, carried out: told to the journal, noted in the placement, answered as values."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from lorry.delivery.intents import Creation, Found, create_once
from lorry.delivery.place import Place, Places
from lorry.delivery.policy import Policy
from lorry.delivery.ports import Intents, Journal, Now, Platform, Publisher, Records
from lorry.errors import DiskFull, InternalError, LorryError, NotThere, NotWritable
from lorry.journal import step_done, step_failed, step_note, step_retrying, step_started
from lorry.model.events import Event
from lorry.model.names import provider_name
from lorry.model.options import DEFAULT_OPTIONS, HOLD, KEEP_TRYING, ShipOptions
from lorry.model.placement import Placement, TrainedModel

Values = dict[str, Any]


class Hold(Protocol):
    """The right to work on a delivery (`custody.Custody`)."""

    async def keep(self, model: str) -> None:
        """Go on only while the right is there; the task that lost it is cancelled."""

    async def settle(self, model: str) -> None:
        """Note that a step was done."""


class Free:
    """The right that nobody contests."""

    async def keep(self, model: str) -> None:
        """Go on."""

    async def settle(self, model: str) -> None:
        """Note nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a delivery works with."""

    home: Path
    records: Records
    journal: Journal
    intents: Intents
    places: Places
    now: Now
    policy: Policy
    listen: Callable[[Event], None]
    hold: Hold = field(default_factory=lambda: Free())


@dataclass(frozen=True, slots=True)
class Done:
    """A step ended well; `ids` are the platform's names that it learned."""

    message: str
    ids: Mapping[str, str | None] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """A step waits for a state that has not come.

    Attributes:
        message: What was seen, as a sentence.
        said: The platform's own word for the state.
    """

    message: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One model's way through one workflow: what a step is given to work with.

    `due` is when all of it has to have ended; `None` for whenever it ends.
    """

    world: World
    place: Place
    model: TrainedModel
    source: str
    options: ShipOptions = DEFAULT_OPTIONS
    due: datetime | None = None

    @property
    def platform(self) -> Platform:
        """Give the platform of the route."""
        return self.place.platform

    @property
    def publisher(self) -> Publisher:
        """Give the Hub of the route."""
        return self.place.publisher

    @property
    def name(self) -> str:
        """Give the deterministic name of everything of this model at a platform."""
        return provider_name(self.model.name, self.model.digest)

    def key(self, kind: str) -> str:
        """Give the key of an intent of this model."""
        return f"{self.model.name}/{self.model.digest[:8]}/{kind}"

    async def placement(self) -> Placement:
        """Read where the model stands."""
        placement = await self.world.records.placement(self.model.name)
        if placement is None:
            raise NotThere(f"{self.model.name} is not known here any more.")
        return placement

    async def save(self, **changes: Any) -> Placement:
        """Write where the model stands, with these changes."""
        changed = replace(await self.placement(), **changes, updated_at=self.world.now())
        await self.world.records.save_placement(changed)
        return changed

    async def save_ids(self, **ids: str | None) -> Placement:
        """Note what the platform calls something before the step that learned it is done."""
        return await self.save(ids=replace((await self.placement()).ids, **ids))

    async def tell(self, event: Event) -> None:
        """Write an event durably, then say it to whoever listens."""
        await self.world.journal.write(event)
        self.world.listen(event)

    async def create(self, creation: Creation[Found], step: str) -> Found:
        """Bring a thing into being exactly once, and tell the journal (`intents.create_once`)."""

        async def note(action: str, message: str, data: Mapping[str, Any]) -> None:
            await self.note(step, action, message, data)

        await self.world.hold.keep(self.model.name)
        return await create_once(creation, self.world.intents, note)

    async def note(self, step: str, action: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Tell something that happens within a step."""
        at = self.world.now()
        await self.tell(step_note(self.model.name, self.source, step, action, message, at, data))


def always(_: Run) -> bool:
    """Have a step in every delivery."""
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """A named step: `doing` is said when it begins, `act` does it once.

    `when` says whether a delivery has this step at all; it may look at nothing but the model and its options,
    as its answer must come out the same when the workflow runs again.
    """

    name: str
    doing: str
    act: Callable[[Run], Awaitable[Done | Pending]]
    when: Callable[[Run], bool] = always


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
        pause = policy.phases[-1].pause
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
    from lorry.errors import DeliveryTimeout

    waited, limit = progress.waited, run.world.policy.limit_of(step.name)
    return DeliveryTimeout(
        f"{step.name} waited {waited:.3g} s, its limit is {limit:.3g} s: {outcome.message}",
        fix=f"Run `lorry resume {run.model.name}` to go on waiting from where it stands.",
        evidence={"step": step.name, "waited": waited, "limit": limit, "looks": progress.looks},
    )


def _overdue(run: Run) -> bool:
    return run.due is not None and run.options.at_deadline != KEEP_TRYING and run.world.now() >= run.due


def _too_late(step: Step, run: Run) -> LorryError:
    from lorry.errors import DeliveryTimeout

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
