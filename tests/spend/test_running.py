"""Start, stop and scale by a person's wish, against the engine; budgets stand before what bills."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.api import Lorry
from lorry.engine.testing import running_engine
from lorry.errors import BudgetSpent, ModelNotFound, NoReplicas, OptionInvalid, PriceNotAccepted
from lorry.model.budget import Budget
from lorry.model.forecast import Price
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.settings import Settings
from lorry.spend.matching import Defaults
from lorry.spend.running import Running
from tests.spend.ground import BASE, Ground, Told, ground, minutes
from tests.spend.world import START, Memory, World

DISPATCH = Path(__file__).resolve().parents[2] / "examples" / "dispatch"


def lorry_at(at: Ground) -> Lorry:
    """Open the public class over a ground."""
    made = Lorry(at.house.settings)
    made._house = at.house
    return made


async def _yes(_: Price) -> bool:
    return True


async def _no(_: Price) -> bool:
    return False


async def test_what_is_stopped_is_started_again(tmp_path: Path) -> None:
    """A stop bills nothing from then on; a start asks for its price, gives a lease, and can be undone."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("tok")
        await at.keeper.once()
        at.engine.advance(600)
        lorry = lorry_at(at)
        stopped = await lorry.stop("tok")
        assert (stopped.before, stopped.undo) == (1, "lorry start tok")
        assert await lorry.leases() == ()
        bill = (await at.invoice())["totalCents"]
        at.engine.advance(3600)
        assert (await at.invoice())["totalCents"] == bill
        found, _ = await lorry.costs(rehearsals=True)
        assert found.total.cents == pytest.approx(bill, abs=0.01)
        assert found.total.running_cents == 0
        with pytest.raises(PriceNotAccepted) as caught:
            await lorry.start("tok", agree=_no)
        assert "$5.49" in str(caught.value)
        prices: list[Price] = []

        async def agreed(price: Price) -> bool:
            prices.append(price)
            return True

        started = await lorry.start("tok", agree=agreed, minutes=30)
        assert [price.cents for price in prices] == [549]
        assert started.lease is not None
        assert started.lease.until == at.now + minutes(30)
        assert started.undo == "lorry stop tok"
        await at.passes(29, every=29)
        assert (await at.deployment(endpoint, deployment))["status"]["readyReplicas"] == 1
        await at.passes(10, every=5)
        assert (await at.deployment(endpoint, deployment))["status"]["readyReplicas"] == 0


async def test_the_number_of_replicas_changes_what_it_costs(tmp_path: Path) -> None:
    """Two replicas cost twice as much, to the cent of the invoice; fewer are not asked about."""
    async with ground(tmp_path) as at:
        await at.deploy("tok")
        await at.keeper.once()
        lorry = lorry_at(at)
        at.engine.advance(600)
        more = await lorry.scale("tok", 2, agree=_yes)
        assert (more.before, more.undo) == (1, "lorry scale tok 1")
        at.engine.advance(600)
        await at.keeper.once()
        assert (await lorry.costs(rehearsals=True))[0].total.running_cents == 1098
        fewer = await lorry.scale("tok", 1, agree=_no)
        assert fewer.undo == "lorry scale tok 2"
        at.engine.advance(600)
        found, _ = await lorry.costs(rehearsals=True)
        assert found.total.cents == pytest.approx((await at.invoice())["totalCents"], abs=0.01)


async def test_what_runs_nothing_of_its_own_can_t_be_started(tmp_path: Path) -> None:
    """A model on a route that bills by the request, or that nobody knows, is refused with what to do."""
    async with ground(tmp_path) as at:
        lorry = lorry_at(at)
        model = TrainedModel("url", "/url", "a" * 64, "flux", BASE, None, 1, at.now)
        ids = ProviderIds(address="https://x/y.safetensors")
        placed = Placement("url", "together-url", PlacementState.READY, "prove", ids, None, None, at.now)
        await at.store.save_model(model, placed)
        with pytest.raises(NoReplicas):
            await lorry.stop("url")
        with pytest.raises((NoReplicas, ModelNotFound)):
            await lorry.start("nobody", agree=_yes)
        with pytest.raises(OptionInvalid):
            await lorry.costs("colour")


async def test_a_budget_stands_before_a_start() -> None:
    """A start whose first hour does not fit is refused with what is left; the next day it fits again."""

    class Poor(Memory):
        async def budgets(self) -> tuple[Budget, ...]:
            return (Budget("all", day_cents=100),)

    world, books = World(120.0), Poor()
    thing = world.create(books.place("tok", None))
    books.place("tok", thing.id)
    world.clock = 600.0
    running = Running([world], books, Told(), Defaults(), world.now)
    await running.stop("tok")
    with pytest.raises(BudgetSpent) as caught:
        await running.start("tok", _yes)
    assert "$1.00 of it are left until 2026-11-03 00:00 UTC" in str(caught.value)
    assert not world.things[thing.id].on


async def test_a_spent_budget_stops_what_runs() -> None:
    """When a budget that stops is gone, the keeper stops all of it; one that softens lets none idle."""
    from lorry.model.budget import Spent
    from tests.spend.test_month import keeper_over

    class Spender(Memory):
        at_limit = "stop"

        async def budgets(self) -> tuple[Budget, ...]:
            return (Budget("model:tok", day_cents=100, at_limit=self.at_limit),)

        async def spent(self, now: object) -> dict[str, Spent]:
            del now
            return {"model:tok": Spent(100, 100)}

    for at_limit, after in (("warn", True), ("soften", True), ("stop", False)):
        world, books = World(0.0), Spender()
        books.at_limit = at_limit
        thing = world.create(books.place("tok", None))
        books.place("tok", thing.id)
        keeper = keeper_over(world, books)
        world.clock = 60.0
        await keeper.once()
        assert thing.on is after, at_limit
        world.clock = 1200.0  # longer than the grace, and nobody asked
        await keeper.once()
        assert thing.on is (at_limit == "warn"), at_limit


async def test_a_model_is_kept_on_in_its_hours() -> None:
    """What has hours is started when they begin, runs through them unused, and stops when they are over."""
    from lorry.model.serving import Policy
    from tests.spend.test_month import keeper_over

    world, books = World(0.0), Memory()
    thing = world.create(books.place("tok", None))
    books.place("tok", thing.id)
    books.policies["tok"] = Policy(idle_minutes=10, hours=("mon-fri 08:00-18:00",))
    keeper = keeper_over(world, books)
    on = []
    for hour in range(48):
        world.clock = hour * 3600.0 + 1
        await keeper.once()
        on.append(thing.on)
    assert START.weekday() == 0
    assert [hour for hour in range(24, 48) if on[hour]] == list(range(32, 42))


async def test_a_budget_stands_before_a_delivery(tmp_path: Path) -> None:
    """A delivery whose first hour does not fit makes nothing; one that fits asks for its price."""
    with running_engine(tmp_path / "engine", hardware="together") as engine:
        settings = Settings(
            tmp_path / "home", together_url=engine.url, together_key="any", hub_url=engine.url
        )
        async with Lorry(settings) as lorry:
            await lorry.set_budget(Budget("model:dispatch", month_cents=100))
            with pytest.raises(BudgetSpent) as caught:
                await lorry.ship(DISPATCH, "dispatch", route="together-merged", agree=_yes)
            assert "An hour of dispatch would cost $5.49" in str(caught.value)
            assert sum(engine.counts().values()) == 0
            await lorry.set_budget(Budget("model:dispatch", month_cents=1000))
            with pytest.raises(PriceNotAccepted):
                await lorry.ship(DISPATCH, "dispatch", route="together-merged", agree=_no)
