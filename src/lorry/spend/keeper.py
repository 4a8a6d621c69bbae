"""The keeper: looks at everything that bills, and stops what has no lease.

It believes the platform's list before our memory. With our database gone it goes by the platform's own fields
alone, so that nothing runs for ever because a disk broke.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lorry.errors import LorryError
from lorry.model.budget import Standing, standings
from lorry.spend.matching import Defaults, shipped
from lorry.spend.passing import Account, Done, Recorded
from lorry.spend.ports import Books, Diary, Fleet
from lorry.spend.scaling import STABLE_SECONDS

#: How far back the ledger is read: rows are written when a request has ended, ten minutes after it began.
_BACK = timedelta(seconds=STABLE_SECONDS + 900)

#: Time between two passes after which everything that runs is asked for its history.
_LONG = timedelta(minutes=15)


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
        self._passed: datetime | None = None

    async def once(self, *, act: bool = True) -> Passed:
        """Make one pass.

        Args:
            act: Whether to do what is decided, or only to say it; what ran is noted either way.
        """
        now = self._now()
        # What was stopped and started while nobody looked shows nothing of it but in its history.
        thorough = act and (self._passed is None or now - self._passed > _LONG)
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
            account = Account(fleet, known, self._diary, self._defaults, now, act=act, thorough=thorough)
            done.extend(await account.keep(listing.objects))
            try:
                await account.close_gone({thing.id for thing in listing.objects}, set(listing.missing))
                await account.write()
            except LorryError as error:
                problems.append(f"What was done could not be written down: {error.message}")
        if act:
            self._passed = now
            await self._warn(known.standings)
        return Passed(now, tuple(done), tuple(problems), known.standings)

    async def _read(self, now: datetime, problems: list[str]) -> Recorded:
        try:
            books = await self._books()
            models, placements, policies = await books.shipped()
            return Recorded(
                shipped(models, placements, policies),
                {lease.object: lease for lease in await books.leases()},
                {run.object: run for run in await books.open_runs()},
                await books.activity(now - _BACK, now),
                standings(await books.budgets(), await books.spent(now), now),
                books,
            )
        except LorryError as error:
            problems.append(f"Our own store can't be read, so the platform's fields decide: {error.message}")
            return Recorded()

    async def _warn(self, found: Iterable[Standing]) -> None:
        """Tell of each budget once in its period that it is nearly spent."""
        for each in found:
            key = (each.budget.scope, each.period, each.ends)
            if each.warned and key not in self._warned:
                self._warned.add(key)
                model = each.budget.scope.partition("model:")[2] or None
                await self._diary.note(model, "budget", f"{each.sentence[0].upper()}{each.sentence[1:]}.", {})
