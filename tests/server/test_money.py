"""Budgets at the gateway, and money over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.budget import Budget
from lorry.model.serving import Policy, Scope
from lorry.store import Store, open_store
from tests.server.ground import gate, place, refusal, settings_of, token
from tests.server.test_asleep import sleeping


async def test_a_budget_holds_for_each_request_that_bills(home: Path) -> None:
    """Requests fit until the budget of their owner is spent; then none is sent, and what is left is told."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url", Policy(owner="ann"))
    async with open_store(settings.home) as store:
        await store.books.set_budget(Budget("owner:ann", day_cents=16))
    async with gate(settings) as here:
        assert (await here.images(width=1024, height=1024)).status_code == 200
        assert (await here.images(width=1024, height=1024)).status_code == 200
        refused = await here.images(width=1024, height=1024)
        assert refused.status_code == 402
        error = refused.json()["error"]
        assert error["code"] == "budget_spent"
        assert len(here.places.sent) == 2
    async with gate(settings) as here:  # over a restart: from the ledger
        refused = await here.images(width=1024, height=1024)
        assert "are left until 2026-11-30 00:00 UTC" in refused.json()["error"]["message"]
        assert here.places.sent == []


async def test_requests_at_once_do_not_slip_past_a_budget(home: Path) -> None:
    """Of eight that come in one moment, as many are sent as fit: each is counted before it is sent."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    async with open_store(settings.home) as store:
        await store.books.set_budget(Budget("model:tok", day_cents=16))
    async with gate(settings) as here:
        answers = await asyncio.gather(*(here.images(width=1024, height=1024) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 2 + [402] * 6
        assert len(here.places.sent) == 2


async def test_a_budget_of_one_model_is_not_that_of_another(home: Path) -> None:
    """What one model may spend says nothing of another, and a budget that only warns refuses nothing."""
    settings = settings_of(home)
    for name in ("tok", "other", "warned"):
        await place(settings, name, "together-url")
    async with open_store(settings.home) as store:
        await store.books.set_budget(Budget("model:tok", month_cents=0))
        await store.books.set_budget(Budget("model:warned", month_cents=0, at_limit="warn"))
    async with gate(settings) as here:
        assert (await here.images("tok")).status_code == 402
        assert (await here.images("other")).status_code == 200
        assert (await here.images("warned")).status_code == 200


async def test_what_has_no_budget_left_is_not_started(home: Path) -> None:
    """A model that sleeps is not woken when its budget is gone; what the engine plays is nobody's money."""
    settings = settings_of(home)
    await place(settings, "tok", "together-merged")
    async with open_store(settings.home) as store:
        await store.books.set_budget(Budget("all", month_cents=0))
    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(400, "dedicated_endpoint_not_running", "not running")
        refused = await here.images()
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_spent")
    await place(settings, "played", "together-merged", rehearsal=True)
    async with sleeping(settings) as (here, bed):
        bed.here = here
        answer = await here.images("played")
        assert answer.status_code == 200
        assert bed.started == 1


async def test_a_softened_budget_asks_the_cheaper_place_first(home: Path) -> None:
    """With its budget gone a sleeping place is not woken while another one answers."""
    settings = settings_of(home)
    await place(settings, "tok", "together-merged", Policy(also=("cheap",)))
    await place(settings, "cheap", "together-url")
    async with open_store(settings.home) as store:
        await store.books.set_budget(Budget("model:tok", month_cents=0, at_limit="soften"))
    async with gate(settings) as here:
        usual = here.places.answer

        def answer(sent: object) -> object:
            asleep = "image_loras" not in sent.body  # type: ignore[attr-defined]
            return refusal(400, "dedicated_endpoint_not_running", "no") if asleep else usual(sent)  # type: ignore[arg-type]

        here.places.answer = answer  # type: ignore[assignment]
        answered = await here.images()
        assert answered.status_code == 200
        assert answered.headers["x-lorry-route"] == "together-url"
        assert here.rooms.waker.under_way == {}


async def test_costs_leases_and_budgets_over_http(home: Path) -> None:
    """An operator reads what runs until when and what it cost, and sets budgets; each problem is told."""
    settings = settings_of(home)
    await place(settings, "tok", "together-merged", Policy(owner="ann"))
    async with gate(settings) as here:
        store = here.rooms.access
        assert isinstance(store, Store)
        now = here.rooms.now()
        begun = now.replace(hour=10)
        run = Run("dep_1", "lorry-tok-1", "tok", "together-merged", False, "1xh100", 600.0, 1, begun)
        lease = Lease("dep_1", BilledKind.DEPLOYMENT, "lorry-tok-1", "ep_1", False, "tok", now, "why")
        await store.books.save_runs([run])
        await store.books.save_leases([lease])
        costs = (await here.client.get("/api/costs", params={"by": "owner"})).json()
        assert [(row["key"], row["cents"]) for row in costs["rows"]] == [("ann", 1200.0)]
        assert (await here.client.get("/api/leases")).json()["leases"][0]["model"] == "tok"
        put = await here.client.put("/api/budgets/owner:ann", json={"day_cents": 2000})
        assert put.json()["standings"][0]["left_cents"] == 800.0
        wrong = await here.client.put("/api/budgets/nobody", json={"day_cents": 1})
        assert wrong.status_code == 400
        metrics = (await here.client.get("/metrics")).text
        assert 'lorry_running_cents_per_hour{rehearsal="false"} 600.0' in metrics
        assert 'lorry_budget_left_cents{period="day",scope="owner:ann"} 800.0' in metrics
        gone = await here.client.delete("/api/budgets/owner:ann")
        assert gone.json()["budgets"] == []


async def test_an_owner_sees_its_own_money_alone(home: Path) -> None:
    """A token with an owner sees and limits what its owner's models cost, and nothing of anybody else's."""
    settings = settings_of(home)
    await place(settings, "hers", "together-merged", Policy(owner="ann"))
    await place(settings, "his", "together-merged", Policy(owner="bob"))
    secret = await token(settings, "ann", Scope.ADMIN)
    async with gate(settings, secret=secret) as here:
        store = here.rooms.access
        assert isinstance(store, Store)
        now = here.rooms.now()
        for name in ("hers", "his"):
            run = Run(f"d_{name}", name, name, "together-merged", False, "h", 600.0, 1, now.replace(hour=10))
            lease = Lease(f"d_{name}", BilledKind.DEPLOYMENT, name, "ep", False, name, now, "why")
            await store.books.save_runs([run])
            await store.books.save_leases([lease])
        for scope in ("all", "owner:bob", "model:his", "owner:ann"):
            await store.books.set_budget(Budget(scope, 1.0))
        costs = (await here.client.get("/api/costs")).json()
        assert [row["key"] for row in costs["rows"]] == ["hers"]
        assert [row["model"] for row in (await here.client.get("/api/leases")).json()["leases"]] == ["hers"]
        seen = (await here.client.get("/api/budgets")).json()["budgets"]
        assert [row["scope"] for row in seen] == ["owner:ann"]
        for scope, status in (("all", 403), ("model:his", 403), ("model:hers", 200)):
            put = await here.client.put(f"/api/budgets/{scope}", json={"day_cents": 5})
            assert put.status_code == status, scope
        assert (await here.client.delete("/api/budgets/owner:bob")).status_code == 403
