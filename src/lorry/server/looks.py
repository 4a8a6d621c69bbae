"""The numbers that the dashboard's pages share: of today, of each hour, of this month."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, cast

from lorry.generation.gateway.directory import LiveDirectory
from lorry.model.billing import Run
from lorry.model.costs import Bought, Report
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy
from lorry.model.tally import Hour, Tally
from lorry.server.fresh import Fresh
from lorry.spend.costs import Money, costs_of

T = TypeVar("T")

#: Seconds for which numbers are not read again.
_LEAST = 5.0
#: Owners whose hours are remembered, and reports.
_OWNERS, _REPORTS = 100, 100
#: Things that are remembered of one snapshot: lists of models by who may see them.
_MADE = 20
#: Seconds to wait for a report that nobody has asked for before.
_PATIENCE = 60.0
#: Hours that are told of.
HOURS = 24


class Figures(Protocol):
    """Counts the ledger."""

    async def asked(self, since: datetime) -> Mapping[str, Tally]:
        """Count the requests for each model since a time."""

    async def asleep(self) -> frozenset[str]:
        """List what ran at a platform and does not any more, by the platform's ids."""

    async def hours(self, since: datetime, owner: str | None) -> tuple[Hour, ...]:
        """Count the requests of each hour since a time, of an owner or of all."""


@dataclass(frozen=True, slots=True)
class Today:
    """What was asked and spent since the day began (UTC).

    Attributes:
        tallies: Requests, by model.
        cents: What they and their replicas cost, by model, US cents.
        running: What it costs an hour now, by model, US cents.
        asleep: What ran at a platform and does not any more, by the platform's ids.
    """

    tallies: Mapping[str, Tally]
    cents: Mapping[str, float]
    running: Mapping[str, float]
    asleep: frozenset[str] = frozenset()


class Looks:
    """Reads them while somebody looks.

    Args:
        figures: Counts the ledger.
        money: Runs and prices.
        directory: Models and where they are.
        clock: Seconds that only grow.
        present: Gives the time, UTC.
    """

    def __init__(
        self,
        figures: Figures,
        money: Money,
        directory: LiveDirectory,
        clock: Callable[[], float],
        present: Callable[[], datetime],
    ) -> None:
        self._figures, self._clock, self._present = figures, clock, present
        self.money = _Known(money, directory)
        self.today: Fresh[Today] = Fresh(self._today, clock, _LEAST)
        self._hours: dict[str | None, Fresh[tuple[Hour, ...]]] = {}
        self._made: dict[object, tuple[tuple[object, ...], Any]] = {}
        self._costs: dict[tuple[str, str | None, datetime, bool], Fresh[Report]] = {}

    def hours(self, owner: str | None) -> Fresh[tuple[Hour, ...]]:
        """Give the last `HOURS` hours of an owner, or of all."""
        if owner not in self._hours and len(self._hours) >= _OWNERS:
            self._hours.pop(next(iter(self._hours)))

        async def read() -> tuple[Hour, ...]:
            return await self._figures.hours(self._present() - timedelta(hours=HOURS), owner)

        return self._hours.setdefault(owner, Fresh(read, self._clock, _LEAST))

    async def costs_seen(
        self, by: str, owner: str | None, since: datetime, *, rehearsals: bool
    ) -> Report | None:
        """Give the costs since a time as they were put together last; the first time it takes a while."""
        key = (by, owner, since, rehearsals)
        if key not in self._costs and len(self._costs) >= _REPORTS:
            self._costs.pop(next(iter(self._costs)))

        async def read() -> Report:
            return await self.costs(by, owner, since, rehearsals=rehearsals)

        return await self._costs.setdefault(key, Fresh(read, self._clock, _LEAST)).value(_PATIENCE)

    async def costs(self, by: str, owner: str | None, since: datetime, *, rehearsals: bool) -> Report:
        """Put the costs since a time together."""
        return await costs_of(self.money, since, self._present(), by, rehearsal=rehearsals, owner=owner)

    def remembered(self, key: object, of: tuple[object, ...], make: Callable[[], T]) -> T:
        """Give what was made of these very things before; make it where they are others now.

        Args:
            key: Names it.
            of: What it is made of; compared by identity.
            make: Makes it.
        """
        known = self._made.get(key)
        if known is None or any(one is not other for one, other in zip(known[0], of, strict=True)):
            if len(self._made) >= _MADE:
                self._made.pop(next(iter(self._made)))
            known = self._made[key] = (of, make())
        return cast("T", known[1])

    async def close(self) -> None:
        """Wait for what is being read."""
        every: list[Fresh[Any]] = [self.today, *self._hours.values(), *self._costs.values()]
        await asyncio.gather(*(each.close() for each in every))

    async def _today(self) -> Today:
        begin = self._present().replace(hour=0, minute=0, second=0, microsecond=0)
        tallies = await self._figures.asked(begin)
        found = await self.costs("model", None, begin, rehearsals=False)
        cents = {row.key: row.cents for row in found.rows}
        running = {row.key: row.running_cents for row in found.rows if row.running_cents}
        return Today(tallies, cents, running, await self._figures.asleep())


class _Known:
    """`lorry.spend.costs.Money` whose models are those that the gateway has in memory anyway."""

    def __init__(self, money: Money, directory: LiveDirectory) -> None:
        self._money, self._directory = money, directory

    async def runs(self, since: datetime, until: datetime) -> tuple[Run, ...]:
        return await self._money.runs(since, until)

    async def bought(self, since: datetime, until: datetime) -> tuple[Bought, ...]:
        return await self._money.bought(since, until)

    async def shipped(self) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], Mapping[str, Policy]]:
        now = self._directory.now
        return tuple(now.models.values()), tuple(now.placements.values()), now.policies
