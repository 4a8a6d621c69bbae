"""One account's part of one pass: what is decided on each thing there, done, and written down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lorry.errors import LorryError, NotThere
from lorry.model.billing import Billed, BilledKind, Lease, Run
from lorry.model.budget import Standing
from lorry.model.placement import PlacementState
from lorry.spend.deciding import Act, Decision, Known, Rules, decide
from lorry.spend.matching import Defaults, Shipped, activity_of, rules_for
from lorry.spend.metering import differs, settled
from lorry.spend.ports import Activity, Books, Diary, Fleet

#: Things that are acted on at once; what is sent in a second is limited by the platform's client.
_AT_ONCE = 8
#: Requests that the platform saw this soon after our own ledger's last one are that one.
_SAME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Done:
    """What a pass did with one thing.

    Attributes:
        object: The thing.
        models: Which models it serves.
        decision: What was decided.
        error: Why it could not be done; `None` when it was, or nothing was to be.
    """

    object: Billed
    models: tuple[str, ...]
    decision: Decision
    error: LorryError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        thing, decision = self.object, self.decision
        return {
            "id": thing.id,
            "kind": str(thing.kind),
            "name": thing.name,
            "models": list(self.models),
            "rehearsal": thing.rehearsal,
            "running": thing.running,
            "wanted": thing.wanted,
            "hardware": thing.hardware,
            "cents_per_hour": thing.cents_per_hour,
            "act": str(decision.act),
            "reason": decision.reason,
            "until": decision.until.isoformat() if decision.until else None,
            "replicas": decision.replicas,
            "error": self.error.as_dict() if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """What our own store says, as of one pass; nothing, and no books, where it can't be read."""

    shipped: Shipped = field(default_factory=Shipped)
    leases: Mapping[str, Lease] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    activity: Mapping[str, Activity] = field(default_factory=dict)
    standings: tuple[Standing, ...] = ()
    books: Books | None = None


#: What holds for what does not run: nothing is to be decided.
_AT_REST = Rules(timedelta(0), timedelta(0))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is decided on one thing, and from what."""

    thing: Billed
    models: tuple[str, ...]
    lease: Lease | None
    used: datetime | None
    rules: Rules
    decision: Decision

    def done(self, error: LorryError | None = None) -> Done:
        return Done(self.thing, self.models, self.decision, error)


class Account:
    """One account's part of one pass.

    Args:
        fleet: What bills there.
        recorded: What our own store says.
        diary: Is told what was done.
        defaults: What holds where a policy says nothing.
        now: When the pass is, UTC.
        act: Whether to do what is decided.
        thorough: Whether everything that runs is asked for its history.
    """

    def __init__(
        self,
        fleet: Fleet,
        recorded: Recorded,
        diary: Diary,
        defaults: Defaults,
        now: datetime,
        *,
        act: bool,
        thorough: bool,
    ) -> None:
        self._fleet, self._recorded, self._diary, self._defaults = fleet, recorded, diary, defaults
        self._now, self._act, self._thorough = now, act, thorough
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._leases: list[Lease] = []
        self._gone: list[str] = []
        self._runs: list[Run] = []

    async def keep(self, things: Sequence[Billed]) -> list[Done]:
        """Decide on everything, and do what calls for something."""
        plans = [self._planned(thing) for thing in things]
        busy = [plan for plan in plans if self._calls(plan)]
        ended = dict(zip(map(id, busy), await asyncio.gather(*map(self._carry, busy)), strict=True))
        done = []
        for plan in plans:
            if id(plan) not in ended and self._act:
                self._write_lease(plan)
            done.append(ended.get(id(plan)) or plan.done())
        return done

    def _planned(self, thing: Billed) -> _Plan:
        known = self._recorded
        placed = known.shipped.on(thing)
        lease = known.leases.get(thing.id)
        models = tuple(each.model for each in placed)
        if not thing.bills and thing.ours and not any(known.shipped.policy(each).hours for each in models):
            return _Plan(thing, models, lease, None, _AT_REST, Decision(Act.KEEP, "nothing of it runs"))
        seen = activity_of(placed, known.activity)
        used = max(filter(None, (seen.used_at, lease.used_at if lease else None)), default=None)
        if thing.running and lease is not None and lease.ready_at is None:
            lease = replace(lease, ready_at=self._now)
        rules = rules_for(known.shipped, placed, known.standings, self._defaults, self._now)
        awaited = any(each.state is PlacementState.DELIVERING for each in placed)
        decision = decide(Known(thing, lease, seen.load, used, awaited), rules, self._now)
        return _Plan(thing, models, lease, used, rules, decision)

    def _calls(self, plan: _Plan) -> bool:
        """Say whether something has to be asked of the platform, or told."""
        if plan.thing.ours and self._differs(plan.thing):
            return True
        lost = plan.lease is None and plan.thing.bills and plan.thing.ours and not plan.models
        return self._act and (lost or plan.decision.act not in (Act.KEEP, Act.REPORT))

    def _differs(self, thing: Billed) -> bool:
        """Say whether its history has to be read to know what ran."""
        run = self._recorded.runs.get(thing.id)
        return differs(thing, run) or (self._thorough and run is not None)

    async def _carry(self, plan: _Plan) -> Done:
        """Do what is decided on one thing; what fails is told, and nothing else stops for it."""
        try:
            async with self._room:
                if not self._act:
                    await self._meter(plan.thing)
                    return plan.done()
                if plan.decision.act is Act.STOP and not plan.rules.over:
                    plan = await self._unless_used(plan)
                await self._carry_out(plan.thing, plan.decision)
                stopped = plan.decision.act is Act.STOP
                await self._meter(replace(plan.thing, running=0, wanted=0) if stopped else plan.thing)
                self._write_lease(plan)
        except LorryError as error:
            await self._tell(plan, "failed", f"{plan.thing.name} could not be kept: {error.message}")
            return plan.done(error)
        if plan.lease is None and plan.thing.bills and not plan.models and self._recorded.books is not None:
            where = f"{plan.thing.name} runs at {self._fleet.address}"
            await self._tell(plan, "adopted", f"{where} and no delivery knows of it: adopted.")
        if plan.decision.act in (Act.STOP, Act.START, Act.SCALE):
            await self._tell(plan, str(plan.decision.act), _told(plan.thing, plan.decision))
        return plan.done()

    async def _unless_used(self, plan: _Plan) -> _Plan:
        """Ask the platform before something is stopped: others may use it without our gateway."""
        idle = self._now - plan.rules.idle
        since = max(idle, plan.used + _SAME) if plan.used else idle
        count = await self._fleet.requests(plan.thing, since) if since < self._now else 0
        if not count:
            return plan
        why = f"the platform saw {count} requests that did not come through our gateway"
        renewed = Decision(Act.RENEW, why, self._now + plan.rules.idle)
        return replace(plan, decision=renewed, used=self._now)

    async def _carry_out(self, thing: Billed, decision: Decision) -> None:
        match decision.act:
            case Act.STOP:
                await self._fleet.stop(thing)
            case Act.RENEW if decision.until is not None:
                await self._fleet.renew(thing, decision.until)
            case Act.START | Act.SCALE if decision.replicas is not None:
                await self._fleet.start(thing, decision.replicas, decision.replicas)

    def _write_lease(self, plan: _Plan) -> None:
        """Have its lease written, or forgotten where it needs none any more."""
        thing, lease, decision = plan.thing, plan.lease, plan.decision
        before = self._recorded.leases.get(thing.id)
        if decision.until is None or decision.act is Act.STOP or not thing.ours:
            if before is not None:
                self._gone.append(thing.id)
            return
        changed = self._now if decision.act is Act.SCALE else lease.changed_at if lease else None
        ready = (lease.ready_at if lease else None) or (self._now if thing.running else None)
        after = Lease(
            thing.id, thing.kind, thing.name, thing.parent, thing.rehearsal,
            plan.models[0] if len(plan.models) == 1 else None,
            decision.until, decision.reason, decision.until if decision.granted else None,
            plan.used, ready if thing.bills else None, changed,
        )  # fmt: skip
        if after != before:
            self._leases.append(after)

    async def _meter(self, thing: Billed) -> None:
        run = self._recorded.runs.get(thing.id)
        if self._recorded.books is not None and thing.ours and self._differs(thing):
            changes = await self._fleet.changes(thing)
            whose = self._recorded.shipped.whose(thing)
            self._runs.extend(settled(thing, run, changes, whose, self._now))

    async def close_gone(self, listed: set[str], missing: set[str]) -> None:
        """End the runs and leases of what is not there any more, unless its kind could not be listed."""
        known = self._recorded
        if known.books is None:
            return
        for object_, run in known.runs.items():
            lease = known.leases.get(object_)
            if object_ in listed or run.rehearsal != self._fleet.rehearsal:
                continue
            if str(lease.kind) not in missing if lease else not missing:
                await self._close(run, lease)
        self._gone += [
            lease.object
            for lease in known.leases.values()
            if lease.object not in listed
            and lease.object not in known.runs
            and lease.rehearsal == self._fleet.rehearsal
            and str(lease.kind) not in missing
        ]

    async def _close(self, run: Run, lease: Lease | None) -> None:
        """End a run whose object isn't listed, unless the platform's own history says that it goes on.

        A list may be older than what is in it. What its history says runs keeps its lease, and is stopped
        when that is over.
        """
        kind, parent = (lease.kind, lease.parent) if lease else (BilledKind.CONTAINER, "")
        thing = Billed(
            run.object, kind, run.name, parent, rehearsal=run.rehearsal,
            hardware=run.hardware, cents_per_hour=run.cents_per_hour,
        )  # fmt: skip
        try:
            changes = await self._fleet.changes(thing)
        except NotThere:
            changes = ()
        if changes and changes[-1][1] > 0:
            if self._act and lease is not None and self._now >= lease.until:
                await self._fleet.stop(thing)
            return
        whose = self._recorded.shipped.whose(thing)
        self._runs.extend(settled(thing, run, changes, whose, self._now))
        self._gone.append(run.object)

    async def write(self) -> None:
        """Write everything down at once: what was done is done, and is seen again when this is lost."""
        books = self._recorded.books
        if books is None or not (self._leases or self._gone or self._runs):
            return
        await books.save_runs(self._runs)
        await books.save_leases(self._leases, self._gone)

    async def _tell(self, plan: _Plan, action: str, message: str) -> None:
        thing = plan.thing
        data = {"object": thing.id, "name": thing.name, "cents_per_hour": thing.cents_per_hour}
        for model in plan.models or (None,):
            await self._diary.note(model, action, message, data)


def _told(thing: Billed, decision: Decision) -> str:
    did = {
        Act.STOP: "was stopped",
        Act.START: "was started",
        Act.SCALE: f"goes to {decision.replicas} replicas",
    }
    return f"{thing.name} {did[decision.act]}: {decision.reason}."
