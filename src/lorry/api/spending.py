"""What can be done about money from Python; `Lorry` has these verbs and the rest."""

from __future__ import annotations

from datetime import datetime, timedelta

from lorry.model.billing import Lease
from lorry.model.budget import Budget, Standing, require_sound_budget, standings
from lorry.model.costs import Report
from lorry.model.names import parse_name
from lorry.model.prices import HARDWARE, HardwarePrice, TokenPrice
from lorry.spend.advising import advise
from lorry.spend.costs import BY, costs_of
from lorry.spend.keeper import Passed
from lorry.spend.matching import shipped
from lorry.spend.replay import Ground
from lorry.spend.running import Agree, Changed, Running
from lorry.spend.traffic import Traffic
from lorry.wiring import House
from lorry.wiring.spending import Journalled, defaults_of, keeper_of


class SpendVerbs:
    """Prices, costs, leases, budgets; start, stop and scale what a model runs on."""

    _house: House

    async def prices(self) -> tuple[tuple[HardwarePrice, ...], tuple[TokenPrice, ...]]:
        """Give what hardware costs by the hour and words by the token.

        As the platforms that can be asked say now; else from a dated table.
        """
        from lorry.errors import PlatformError

        hardware: list[HardwarePrice] = []
        words: list[TokenPrice] = []
        for fleet in await self._house.fleets():
            try:
                told = await fleet.price_list()
            except PlatformError:
                continue
            hardware += told[0]
            words += told[1]
        return (tuple(hardware) if any(row.cents_per_hour for row in hardware) else HARDWARE), tuple(words)

    async def costs(
        self,
        by: str = "model",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        rehearsals: bool = False,
    ) -> tuple[Report, Passed]:
        """Say what was spent, and what bills now.

        What the platforms list is looked at first, so that what began or ended meanwhile counts.

        Args:
            by: `model`, `owner`, `route` or `day`.
            since: Beginning of the period; that of the month when omitted.
            until: Its end; now when omitted.
            rehearsals: Whether to tell of rehearsals, which nobody owes, and of nothing else.

        Raises:
            OptionInvalid: Costs can't be told by that.
        """
        from lorry.errors import OptionInvalid

        if by not in BY:
            raise OptionInvalid(f"Costs can't be told by {by!r}.", fix=f"Choose one of: {', '.join(BY)}.")
        house = self._house
        passed = await keeper_of(house).once(act=False)
        books = (await house.store()).books
        now = house.clock()
        begin = since or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = min(until or now, now)
        found = await costs_of(books, begin, end, by, rehearsal=rehearsals)
        return found, passed

    async def keep(self, *, act: bool = True) -> Passed:
        """Make one pass of the keeper over everything that bills.

        Args:
            act: Whether to do what is decided, or only to say it.
        """
        return await keeper_of(self._house).once(act=act)

    async def leases(self) -> tuple[Lease, ...]:
        """List until when what bills may run."""
        return await (await self._house.store()).books.leases()

    async def start(
        self, name: str, *, agree: Agree, replicas: int | None = None, minutes: float | None = None
    ) -> Changed:
        """Have a model's own replicas run, for the length of a lease or for so many minutes.

        Args:
            name: The model's name.
            agree: Asked with the price.
            replicas: How many; as it was shipped when omitted.
            minutes: For how long at least, used or not; a lease when omitted.
        """
        running = await self._running()
        return await running.start(parse_name(name), agree, replicas=replicas, minutes=minutes)

    async def stop(self, name: str) -> Changed:
        """Have nothing of a model run any more; it can be started again.

        Args:
            name: The model's name.
        """
        return await (await self._running()).stop(parse_name(name))

    async def scale(self, name: str, replicas: int, *, agree: Agree) -> Changed:
        """Have so many replicas of a model run.

        Args:
            name: The model's name.
            replicas: How many, 1 or more.
            agree: Asked with the price, where there are more than before.
        """
        return await (await self._running()).scale(parse_name(name), replicas, agree)

    async def runs_on(self, name: str) -> tuple[str, ...]:
        """List the other models that what a model runs on serves too.

        Args:
            name: The model's name.
        """
        return (await (await self._running()).look(parse_name(name)))[1]

    async def budgets(self) -> tuple[tuple[Budget, ...], tuple[Standing, ...]]:
        """List the budgets, and how each stands."""
        books = (await self._house.store()).books
        now = self._house.clock()
        budgets = await books.budgets()
        return budgets, standings(budgets, await books.spent(now), now)

    async def set_budget(self, budget: Budget) -> None:
        """Set what may be spent.

        Args:
            budget: The budget; it replaces the one of its scope.

        Raises:
            OptionInvalid: With every problem at once.
        """
        require_sound_budget(budget)
        await (await self._house.store()).books.set_budget(budget)

    async def forget_budget(self, scope: str) -> None:
        """Take a budget away.

        Args:
            scope: Its scope.
        """
        await (await self._house.store()).books.forget_budget(scope)

    async def traffic(self, days: float) -> Traffic:
        """Read which model was asked when, from the ledger.

        Args:
            days: How far back.
        """
        now = self._house.clock()
        return await (await self._house.store()).books.asked(now - timedelta(days=days), now)

    async def advice(self, days: float, ground: Ground, wait_share: float) -> list[str]:
        """Say for each model what would be cheaper, each in a sentence with the numbers behind it.

        Args:
            days: How far back the ledger is read.
            ground: What is assumed of replicas whose price nobody tells.
            wait_share: Share of requests that may wait for a start.
        """
        store = await self._house.store()
        known = shipped(*await store.books.shipped())
        bases = {model.name: model.base for model in await store.models()}
        return advise(known.placements, bases, await self.traffic(days), ground, wait_share)

    async def _running(self) -> Running:
        house = self._house
        books = (await house.store()).books
        return Running(
            await house.fleets(), books, Journalled(house), defaults_of(house.settings), house.clock
        )
