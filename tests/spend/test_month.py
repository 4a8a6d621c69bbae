"""A month of many models with day and night, and with everything going wrong once.

Of two hundred with LORRY_MONTH_MODELS=200, which takes some two minutes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import timedelta

from lorry.model.serving import Policy
from lorry.spend.keeper import Keeper
from lorry.spend.learning import idle_for
from lorry.spend.matching import Defaults
from lorry.spend.ports import Fleet
from lorry.spend.replay import Ground, optimum, total
from lorry.spend.traffic import Asked
from tests.spend.ground import Told
from tests.spend.world import CENTS, START, Memory, World

#: Read before the environment is wiped for the tests.
MODELS = int(os.environ.get("LORRY_MONTH_MODELS", "120"))
DAYS, EVERY, STARTING = 30, 600.0, 120.0
#: Passes in which the keeper is dead, in which the list is stale, and after which things are settled again.
DEAD, STALE = range(150, 156), range(1050, 1063)
UNSURE = (*range(150, 162), *range(1050, 1070))
#: Requests that may wait for a start: what the idle time of each model is chosen for.
WAIT_SHARE = 0.02
GROUND = Ground(CENTS, STARTING, EVERY)
DEFAULTS = Defaults(timedelta(minutes=60), timedelta(minutes=10))


def traffic_of(dice: random.Random) -> list[Asked]:
    """Give a month of requests: every few minutes in nine hours of the day, some models not at weekends."""
    begin, resting, gap = dice.uniform(0, 14) * 3600, dice.random() < 0.5, dice.uniform(120, 420)
    found = []
    for day in range(DAYS):
        if resting and day % 7 >= 5:
            continue
        at = day * 86400 + begin + dice.uniform(0, 3600)
        while at < day * 86400 + begin + 9 * 3600:
            found.append(Asked(at, 2.0))
            at += dice.expovariate(1 / gap)
    return found


class Month:
    """A keeper, and the users of many models, over a month."""

    def __init__(self) -> None:
        dice = random.Random(7)  # noqa: S311 - a simulation
        self.world, self.books = World(STARTING), Memory()
        self.traffic = {f"m{number:03}": traffic_of(dice) for number in range(MODELS)}
        self.ids = {model: self._deployed(model, requests) for model, requests in self.traffic.items()}
        rows = ((each.at, model) for model, requests in self.traffic.items() for each in requests)
        self.arrivals = sorted(rows, reverse=True)
        self.keeper = keeper_over(self.world, self.books)
        self.waits = 0

    def _deployed(self, model: str, requests: Sequence[Asked]) -> str:
        made = self.world.create(self.books.place(model, None))
        self.books.place(model, made.id)
        idling, _ = idle_for(requests, WAIT_SHARE, GROUND)
        self.books.policies[model] = Policy(idle_minutes=idling.minutes, quiet=idling.quiet_hours())
        return made.id

    def ask_until(self, end: float) -> None:
        """Have users ask until a time."""
        while self.arrivals and self.arrivals[-1][0] < end:
            self.world.clock, model = self.arrivals.pop()
            self.waits += self.world.ask(self.ids[model]) > 0
            self.books.note(model, self.world.now())
        self.world.clock = end

    async def trouble(self, number: int) -> None:
        """Have something go wrong at some passes."""
        if number in (450, 1350):  # its creation timed out, and acted: no placement knows of it
            self.world.create("lorry-lost-12345678")
        elif number == STALE[0]:
            self.world.stale = await self.world.list()
        elif number == STALE[-1]:
            self.world.stale = None
        elif number == 2100:
            self.world.lose_stops = 20


async def test_a_month_of_many_models() -> None:
    """Nothing outlives its lease and the grace; nothing in use is stopped; the bill is near the optimum.

    Meanwhile the keeper is dead for an hour, the platform's list is stale for two, answers to stops are lost,
    and deployments appear whose creation timed out after it had acted.
    """
    month = Month()
    count = sum(map(len, month.traffic.values()))
    for number in range(int(DAYS * 86400 / EVERY) + 12):
        month.ask_until((number + 1) * EVERY)
        await month.trouble(number)
        if number not in DEAD:
            passed = await month.keeper.once()
            assert not passed.problems
            if number not in UNSURE:
                _require_leases(month.world, month.books, month.world.clock)
    _require_all_stopped(month.world)
    assert month.waits / count <= WAIT_SHARE + 0.002
    _require_near_optimum(month.world, month.traffic)
    ran = sum(run.minutes(START, month.world.now()) for run in month.books.ran.values())
    assert ran == month.world.minutes()


def _require_leases(world: World, books: Memory, now: float) -> None:
    """After a pass, what runs was used within its idle time, began within its grace, or was just found."""
    for model, place in books.placements.items():
        thing = world.things[str(place.ids.deployment)]
        idle = (books.policies[model].idle_minutes or 0) * 60
        used = max(thing.asked, thing.ready + 600 - idle, thing.created)
        assert not thing.on or now - used <= idle + EVERY, model


def _require_all_stopped(world: World) -> None:
    """When the month is over and nobody asks any more, nothing runs; not what was lost either."""
    assert [thing.name for thing in world.things.values() if thing.on] == []


def _require_near_optimum(world: World, traffic: dict[str, list[Asked]]) -> None:
    """The bill is within a tenth of what hindsight would have paid with as many requests that may wait."""
    allowed = {model: int(WAIT_SHARE * len(requests)) for model, requests in traffic.items()}
    best = total(optimum(requests, allowed[model], GROUND) for model, requests in traffic.items())
    bill = world.minutes() * CENTS / 60
    assert bill <= 1.1 * best.cents, f"{bill / best.cents:.3f} times the optimum"


async def test_a_pass_over_a_thousand_is_one_list() -> None:
    """A pass asks the platform for its list and for nothing else, while nothing changes."""
    world, books = World(STARTING), Memory()
    for number in range(1000):
        model = f"m{number:04}"
        name = books.place(model, None)
        books.place(model, world.create(name).id)
        books.note(model, world.now())
    world.clock = 600.0
    keeper = keeper_over(world, books)
    await keeper.once()
    world.calls.clear()
    world.clock = 660.0
    await keeper.once()
    assert dict(world.calls) == {"list": 1}


def keeper_over(world: World, books: Memory) -> Keeper:
    """Build a keeper over a world."""

    async def fleets() -> Sequence[Fleet]:
        return [world]

    async def open_books() -> Memory:
        return books

    return Keeper(fleets, open_books, Told(), DEFAULTS, world.now)
