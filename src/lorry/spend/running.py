"""Start, stop and scale what a model runs on, by a person's wish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lorry.errors import NoReplicas, NotThere, PriceNotAccepted
from lorry.model.billing import Billed, Lease
from lorry.model.budget import holding, require_room, standings
from lorry.model.forecast import Price
from lorry.model.placement import Placement
from lorry.spend.matching import Defaults, object_of, shipped
from lorry.spend.metering import settled
from lorry.spend.ports import Books, Diary, Fleet

#: Asked before something is started that bills; gives whether to go on.
Agree = Callable[[Price], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a wish.

    Attributes:
        object: What it is about, as it is from now on.
        before: Replicas that there should be before.
        lease: Until when it may run; `None` where nothing of it does.
        others: Other models that it serves.
        undo: The command that takes it back; `None` where there is none.
    """

    object: Billed
    before: int
    lease: Lease | None
    others: tuple[str, ...]
    undo: str | None


class Running:
    """Starts, stops and scales.

    Args:
        fleets: What there is on each account.
        books: Our own store.
        diary: Is told.
        defaults: How long a lease is.
        now: Gives the time, UTC.
    """

    def __init__(
        self,
        fleets: Sequence[Fleet],
        books: Books,
        diary: Diary,
        defaults: Defaults,
        now: Callable[[], datetime],
    ) -> None:
        self._fleets, self._books, self._diary = fleets, books, diary
        self._defaults, self._now = defaults, now

    async def start(
        self, name: str, agree: Agree, *, replicas: int | None = None, minutes: float | None = None
    ) -> Changed:
        """Have a model's replicas run, for the length of a lease or for so many minutes.

        Args:
            name: Lorry's name of the model.
            agree: Asked with the price of it.
            replicas: How many; as it was shipped when omitted.
            minutes: For how long at least, used or not; a lease when omitted.

        Raises:
            NoReplicas: Its route runs nothing of its own.
            BudgetSpent: It does not fit into a budget.
            PriceNotAccepted: Nobody agreed.
        """
        placement, fleet, thing, others = await self._find(name)
        count = replicas or placement.options.min_replicas
        await self._agreed(placement, thing, count - thing.wanted, count, agree)
        if thing.wanted != count:
            await fleet.start(thing, count, max(count, placement.options.max_replicas))
        now = self._now()
        length = self._defaults.idle if minutes is None else timedelta(minutes=minutes)
        reason = f"a person started it for {length.total_seconds() / 60:.0f} minutes"
        alone = None if others else name
        lease = Lease(
            thing.id, thing.kind, thing.name, thing.parent, thing.rehearsal, alone, now + length,
            reason, now + length,
            used_at=None, ready_at=now if thing.running else None, changed_at=now,
        )  # fmt: skip
        await self._books.save_leases([lease])
        await fleet.renew(thing, lease.until)
        await self._diary.note(name, "start", f"{thing.name} was started by a person.", {"replicas": count})
        undo = f"lorry stop {name}" if not thing.wanted else None
        return Changed(replace(thing, wanted=count), thing.wanted, lease, others, undo)

    async def stop(self, name: str) -> Changed:
        """Have nothing of a model run any more; what serves others too is stopped for them as well.

        Args:
            name: Lorry's name of the model.

        Raises:
            NoReplicas: Its route runs nothing of its own.
        """
        placement, fleet, thing, others = await self._find(name)
        await fleet.stop(thing)
        after = replace(thing, running=0, wanted=0)
        now = self._now()
        run = next((run for run in await self._books.open_runs() if run.object == thing.id), None)
        if run is not None or thing.running:
            known = shipped(*await self._books.shipped())
            changes = await fleet.changes(thing)
            await self._books.save_runs(settled(after, run, changes, known.whose(thing), now))
        await self._books.save_leases([], [thing.id])
        if thing.wanted or thing.running:
            await self._diary.note(name, "stop", f"{thing.name} was stopped by a person.", {})
        final = placement.route == "together-v1"  # nothing of the first version can be started again (1.6)
        undo = None if final or not thing.wanted else f"lorry start {name}"
        return Changed(after, thing.wanted, None, others, undo)

    async def scale(self, name: str, replicas: int, agree: Agree) -> Changed:
        """Have so many replicas of a model run.

        Args:
            name: Lorry's name of the model.
            replicas: How many, 1 or more.
            agree: Asked with the price, where there are more than before.

        Raises:
            NoReplicas: Its route runs nothing of its own.
            BudgetSpent: It does not fit into a budget.
            PriceNotAccepted: Nobody agreed.
        """
        changed = await self.start(name, agree, replicas=replicas)
        undo = f"lorry scale {name} {changed.before}" if changed.before else f"lorry stop {name}"
        return replace(changed, undo=undo if changed.before != replicas else None)

    async def look(self, name: str) -> tuple[Billed, tuple[str, ...]]:
        """Give what a model runs on as it is now, and which others it serves."""
        _, _, thing, others = await self._find(name)
        return thing, others

    async def _find(self, name: str) -> tuple[Placement, Fleet, Billed, tuple[str, ...]]:
        models, placements, policies = await self._books.shipped()
        placement = next((each for each in placements if each.model == name), None)
        wanted = object_of(placement) if placement is not None else None
        if placement is None or wanted is None:
            route = f"is on the route {placement.route}, which" if placement else "is nowhere yet, so it"
            raise NoReplicas(f"{name} {route} runs nothing of its own that could be started or stopped.")
        embedded = placement.rehearsal or placement.route == "local"
        known = shipped(models, placements, policies)
        for fleet in self._fleets:
            if fleet.rehearsal != embedded:
                continue
            for thing in (await fleet.list()).objects:
                if thing.id == wanted[1]:
                    others = tuple(each.model for each in known.on(thing) if each.model != name)
                    return placement, fleet, thing, others
            raise NotThere(
                f"What {name} ran on ({wanted[1]}) is not at {fleet.address} any more.",
                fix=f"Run `lorry resume {name}` to deploy it again.",
                evidence={"object": wanted[1]},
            )
        where = "the embedded engine does not run" if embedded else "no key of Together is set"
        raise NoReplicas(
            f"What {name} runs on can't be reached: {where}.",
            fix="Run `lorry engine`." if embedded else "Set TOGETHER_API_KEY.",
        )

    async def _agreed(self, placement: Placement, thing: Billed, more: int, count: int, agree: Agree) -> None:
        """Go on only within the budgets, and with somebody's agreement to the price."""
        if more <= 0 or thing.free:
            return
        now = self._now()
        policies = (await self._books.shipped())[2]
        owner = policies[placement.model].owner if placement.model in policies else None
        if not thing.rehearsal:
            found = standings(await self._books.budgets(), await self._books.spent(now), now)
            cents = more * (thing.cents_per_hour or 0.0)
            require_room(holding(found, placement.model, owner), cents, f"An hour of {thing.hardware}")
        each = thing.cents_per_hour
        source = "the platform, asked now" if each is not None else "not told"
        note = f"{count} replicas of {thing.hardware}" if count > 1 else thing.hardware
        price = Price(None if each is None else each * count, "hour", source, note)
        if not await agree(price):
            raise PriceNotAccepted(
                f"This starts something that bills: {price.sentence} ({note}).",
                evidence={"cents": price.cents, "per": price.per, "source": source},
            )
