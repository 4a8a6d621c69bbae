"""The keeper: looks at everything that bills, and stops what has no lease.

It believes the platform's list before our memory. With our database gone it goes by the platform's own fields
alone, so that nothing runs for ever because a disk broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lorry.errors import LorryError, NotThere
from lorry.model.billing import Billed, Lease, Run
from lorry.model.budget import Standing, standings
from lorry.spend.deciding import Act, Decision, Known, decide
from lorry.spend.matching import Defaults, Shipped, activity_of, rules_for, shipped
from lorry.spend.metering import differs, settled
from lorry.spend.ports import Books, Diary, Fleet
from lorry.spend.scaling import STABLE_SECONDS

#: Things that are acted on at once; what is sent in a second is limited by the platform's client.
_AT_ONCE = 8
#: How far back the ledger is read: rows are written when a request has ended, ten minutes after it began.
_BACK = timedelta(seconds=STABLE_SECONDS + 900)
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
class Passed:
    """A pass.

    Attributes:
        at: When, UTC.
        done: What was found, and what was done with it.
        problems: What could not be read, each in a sentence.
        standings: How the budgets stand.
    """

    at: datetime
    done: tuple[Done, ...] = ()
    problems: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()


@dataclass(slots=True)
class _Known:
    """What our own store says, as of one pass; nothing, and no books, where it can't be read."""

    shipped: Shipped = field(default_factory=Shipped)
    leases: dict[str, Lease] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    activity: Any = field(default_factory=dict)
    standings: tuple[Standing, ...] = ()
    books: Books | None = None


class Keeper:
    """Passes over everything that bills.

    Args:
        fleets: Opens what there is on each account; asked anew with each pass.
        books: Opens our own store; asked anew with each pass, as it may be gone and come back.
        diary: Is told what was done.
        defaults: What holds where a policy says nothing.
        now: Gives the time, UTC.
    """

    def __init__(
        self,
        fleets: Callable[[], Awaitable[Sequence[Fleet]]],
        books: Callable[[], Awaitable[Books]],
        diary: Diary,
        defaults: Defaults,
        now: Callable[[], datetime],
    ) -> None:
        self._fleets, self._books, self._diary = fleets, books, diary
        self._defaults, self._now = defaults, now
        self._warned: set[tuple[str, str, datetime]] = set()

    async def once(self, *, act: bool = True) -> Passed:
        """Make one pass.

        Args:
            act: Whether to do what is decided, or only to say it; what ran is noted either way.
        """
        now = self._now()
        problems: list[str] = []
        known = await self._read(now, problems)
        done: list[Done] = []
        for fleet in await self._fleets():
            try:
                listing = await fleet.list()
            except LorryError as error:
                problems.append(f"{fleet.address} can't be listed, so what runs there stays: {error.message}")
                continue
            problems.extend(f"{kind} of {fleet.address}: {why}" for kind, why in listing.missing.items())
            room = asyncio.Semaphore(_AT_ONCE)
            one = _Fleet(self, fleet, known, now, room, act=act)
            done.extend(await asyncio.gather(*(one.keep(thing) for thing in listing.objects)))
            listed = {thing.id for thing in listing.objects}
            await one.close_gone(listed, {str(kind) for kind in listing.missing})
            try:
                await one.write()
            except LorryError as error:
                problems.append(f"What was done could not be written down: {error.message}")
        if act:
            await self._warn(known.standings)
        return Passed(now, tuple(done), tuple(problems), known.standings)

    async def _read(self, now: datetime, problems: list[str]) -> _Known:
        try:
            books = await self._books()
            models, placements, policies = await books.shipped()
            return _Known(
                shipped(models, placements, policies),
                {lease.object: lease for lease in await books.leases()},
                {run.object: run for run in await books.open_runs()},
                await books.activity(now - _BACK, now),
                standings(await books.budgets(), await books.spent(now), now),
                books,
            )
        except LorryError as error:
            problems.append(f"Our own store can't be read, so the platform's fields decide: {error.message}")
            return _Known()

    async def _warn(self, found: Iterable[Standing]) -> None:
        """Tell of each budget once in its period that it is nearly spent."""
        for each in found:
            key = (each.budget.scope, each.period, each.ends)
            if each.warned and key not in self._warned:
                self._warned.add(key)
                model = each.budget.scope.partition("model:")[2] or None
                await self._diary.note(model, "budget", f"{each.sentence[0].upper()}{each.sentence[1:]}.", {})


class _Fleet:
    """One account's part of one pass."""

    def __init__(
        self,
        keeper: Keeper,
        fleet: Fleet,
        known: _Known,
        now: datetime,
        room: asyncio.Semaphore,
        *,
        act: bool,
    ) -> None:
        self._diary, self._defaults = keeper._diary, keeper._defaults
        self._fleet, self._known, self._now, self._room, self._act = fleet, known, now, room, act
        self._leases: list[Lease] = []
        self._gone: list[str] = []
        self._runs: list[Run] = []

    async def keep(self, thing: Billed) -> Done:
        """Decide on one thing, and do it."""
        known = self._known
        placed = known.shipped.on(thing)
        models = tuple(each.model for each in placed)
        lease = known.leases.get(thing.id)
        seen = activity_of(placed, known.activity)
        used = max(filter(None, (seen.used_at, lease.used_at if lease else None)), default=None)
        if thing.running and lease is not None and lease.ready_at is None:
            lease = replace(lease, ready_at=self._now)
        rules = rules_for(known.shipped, placed, known.standings, self._defaults)
        decision = decide(Known(thing, lease, seen.load, used), rules, self._now)
        if not self._act:
            if known.books is not None and thing.ours:
                await self._meter(thing)
            return Done(thing, models, decision)
        try:
            async with self._room:
                if decision.act is Act.STOP and not rules.over:
                    decision, used = await self._still_unused(thing, decision, used, rules.idle)
                await self._carry_out(thing, decision)
                await self._write_down(thing, lease, decision, used, models)
        except LorryError as error:
            await self._tell(models, "failed", f"{thing.name} could not be kept: {error.message}", thing)
            return Done(thing, models, decision, error)
        return Done(thing, models, decision)

    async def _still_unused(
        self, thing: Billed, decision: Decision, used: datetime | None, idle: timedelta
    ) -> tuple[Decision, datetime | None]:
        """Ask the platform before something is stopped: others may use it without our gateway."""
        since = max(self._now - idle, used + _SAME if used else self._now - idle)
        count = await self._fleet.requests(thing, since) if since < self._now else 0
        if not count:
            return decision, used
        end = self._now + idle
        why = f"the platform saw {count} requests that did not come through our gateway"
        return Decision(Act.RENEW, why, end), self._now

    async def _carry_out(self, thing: Billed, decision: Decision) -> None:
        match decision.act:
            case Act.STOP:
                await self._fleet.stop(thing)
            case Act.RENEW if decision.until is not None:
                await self._fleet.renew(thing, decision.until)
            case Act.START | Act.SCALE if decision.replicas is not None:
                await self._fleet.start(thing, decision.replicas, decision.replicas)

    async def _write_down(
        self,
        thing: Billed,
        lease: Lease | None,
        decision: Decision,
        used: datetime | None,
        models: tuple[str, ...],
    ) -> None:
        """Write lease and runs, and tell what a person would want to know."""
        stopped = decision.act is Act.STOP
        after = replace(thing, running=0, wanted=0) if stopped else thing
        if self._known.books is not None and thing.ours:
            await self._meter(after)
        if decision.until is None or stopped or not thing.ours:
            if lease is not None:
                self._gone.append(thing.id)
        else:
            changed = self._now if decision.act is Act.SCALE else lease.changed_at if lease else None
            ready = (lease.ready_at if lease else None) or (self._now if thing.running else None)
            model = models[0] if len(models) == 1 else None
            after_ = Lease(
                thing.id, thing.kind, thing.name, thing.parent, thing.rehearsal, model,
                decision.until, decision.reason, used, ready if thing.bills else None, changed,
            )  # fmt: skip
            if after_ != self._known.leases.get(thing.id):
                self._leases.append(after_)
        if lease is None and thing.bills and thing.ours and not models and not stopped:
            message = f"{thing.name} runs at {self._fleet.address} and no delivery knows of it: adopted."
            await self._tell(models, "adopted", message, thing)
        if decision.act in (Act.STOP, Act.START, Act.SCALE):
            await self._tell(models, str(decision.act), _told(thing, decision), thing)

    async def _meter(self, thing: Billed) -> None:
        run = self._known.runs.get(thing.id)
        if differs(thing, run):
            changes = await self._fleet.changes(thing)
            whose = self._known.shipped.whose(thing)
            self._runs.extend(settled(thing, run, changes, whose, self._now))

    async def close_gone(self, listed: set[str], missing: set[str]) -> None:
        """End the runs and leases of what is not there any more, unless its kind could not be listed."""
        if self._known.books is None:
            return
        for object_, run in self._known.runs.items():
            lease = self._known.leases.get(object_)
            if object_ in listed or run.rehearsal != self._fleet.rehearsal or lease is None:
                continue
            if str(lease.kind) not in missing:
                await self._close(run, lease)
        self._gone += [
            lease.object
            for lease in self._known.leases.values()
            if lease.object not in listed
            and lease.object not in self._known.runs
            and lease.rehearsal == self._fleet.rehearsal
            and str(lease.kind) not in missing
        ]

    async def _close(self, run: Run, lease: Lease) -> None:
        """End a run whose object isn't listed, unless the platform's own history says that it goes on.

        A list may be older than what is in it. What its history says runs keeps its lease, and is stopped
        when that is over.
        """
        thing = Billed(
            run.object, lease.kind, run.name, lease.parent, rehearsal=run.rehearsal,
            hardware=run.hardware, cents_per_hour=run.cents_per_hour,
        )  # fmt: skip
        try:
            changes = await self._fleet.changes(thing)
        except NotThere:
            changes = ()
        if changes and changes[-1][1] > 0:
            if self._act and self._now >= lease.until:
                await self._fleet.stop(thing)
            return
        whose = self._known.shipped.whose(thing)
        self._runs.extend(settled(thing, run, changes, whose, self._now))
        self._gone.append(run.object)

    async def write(self) -> None:
        """Write everything down at once: what was done is done, and is seen again when this is lost."""
        books = self._known.books
        if books is None or not (self._leases or self._gone or self._runs):
            return
        await books.save_runs(self._runs)
        await books.save_leases(self._leases, self._gone)

    async def _tell(self, models: tuple[str, ...], action: str, message: str, thing: Billed) -> None:
        data = {"object": thing.id, "name": thing.name, "cents_per_hour": thing.cents_per_hour}
        for model in models or (None,):
            await self._diary.note(model, action, message, data)


def _told(thing: Billed, decision: Decision) -> str:
    did = {
        Act.STOP: "was stopped",
        Act.START: "was started",
        Act.SCALE: f"goes to {decision.replicas} replicas",
    }
    return f"{thing.name} {did[decision.act]}: {decision.reason}."
