"""Costs and health: the numbers are those of the API and the ledger; budgets are set and taken away."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.kept import Came
from lorry.model.serving import Policy, Scope
from lorry.store import open_store
from tests.server.ground import gate, place, settings_of, token
from tests.server.pages.browsing import visiting, words
from tests.server.pages.test_models import NOON, asked


async def test_costs_are_those_of_the_api(home: Path) -> None:
    """Each day has its spend and idle share; models, leases and the month are told; an owner sees its own."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url", policy=Policy(owner="ann"))
    await place(settings, "big", "local")
    async with open_store(settings.home) as store:
        await store.ledger.write([asked("tok", number, cents=2.5) for number in range(4)])
        day = timedelta(days=1)
        run = Run("dep_1", "x", "big", "local", False, "1xh100", 600.0, 1, NOON - 2 * day, NOON - 2 * day / 2)
        now = Run("dep_2", "y", "big", "local", False, "1xh100", 600.0, 1, NOON - day / 24)
        await store.books.save_runs([run, now])
        lease = Lease(
            "dep_2", BilledKind.DEPLOYMENT, "y", "e", False, "big", NOON + day / 24, "used just now"
        )
        await store.books.save_leases([lease])
    boss, ann = await token(settings, None, Scope.ADMIN), await token(settings, "ann", Scope.ADMIN)
    async with (
        gate(settings, secret=boss) as here,
        visiting(here, boss) as visit,
        visiting(here, ann) as hers,
    ):
        view = await visit.data("/costs.json?days=7")
        api = (await here.client.get("/api/costs?since=2026-11-23T00:00:00Z")).json()
        assert view["total"]["cents"] == api["total"]["cents"] == 10 + 600 * 25
        assert [row["day"] for row in view["by_day"]][-1] == "2026-11-29"
        assert len(view["by_day"]) == 7
        assert sum(row["cents"] for row in view["by_day"]) == view["total"]["cents"]
        assert view["by_day"][-1]["idle_share"] == 1.0
        assert [row["key"] for row in view["models"]] == ["big", "tok"]
        assert view["leases"][0]["cents_per_hour"] == 600.0
        page = words(await visit.see("/costs"))
        assert all(word in page for word in ("$150.10", "in 1 h", "used just now", "$6.00"))
        own = await hers.data("/costs.json?days=7")
        assert (own["total"]["cents"], [row["key"] for row in own["models"]], own["leases"]) == (
            10,
            ["tok"],
            [],
        )
        part = await visit.part("/costs?days=7", "spent")
        assert "<html" not in part.text
        for wrong in ("days=0", "days=400", "rehearsals=perhaps"):
            assert (await visit.client.get(f"/costs.json?{wrong}")).status_code == 400


async def test_a_budget_is_set_seen_and_taken_away(home: Path) -> None:
    """In dollars; all that is wrong is told; an owner sets its own alone."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(owner="ann"))
    boss, ann = await token(settings, None, Scope.ADMIN), await token(settings, "ann", Scope.ADMIN)
    async with gate(settings) as here, visiting(here, boss) as visit, visiting(here, ann) as hers:
        wish = {"scope": "model:tok", "day": "1.50", "month": "20", "at_limit": "soften"}
        assert "is set" in words(await visit.send("/costs/budgets", wish))
        (budget,) = (await visit.data("/costs.json"))["budgets"]
        assert (budget["day_cents"], budget["month_cents"], budget["at_limit"]) == (150, 2000, "soften")
        assert "$0.00 of $1.50 this day" in words(await visit.see("/costs"))
        (event,) = await here.rooms.desk.journal.read("tok")
        assert event.message.startswith(
            "A budget was set: $1.50 a day and $20.00 a month, then soften. By tok_"
        )
        for wrong in (
            {"scope": "all"},
            {"scope": "tok", "day": "1"},
            {"scope": "all", "day": "-1"},
            {"scope": "all", "day": "nan"},
            {"scope": "all", "day": "much"},
            {"scope": "all", "day": "1", "at_limit": "explode"},
            {"day": "1"},
        ):
            assert (await visit.send("/costs/budgets", wrong)).status_code == 400, wrong
        assert (await hers.send("/costs/budgets", {"scope": "all", "day": "1"})).status_code == 403
        assert (await hers.send("/costs/budgets", {"scope": "owner:ann", "day": "1"})).status_code == 200
        assert (await visit.send("/costs/budgets/forget", {"scope": "model:tok"})).status_code == 200
        assert [each["scope"] for each in (await visit.data("/costs.json"))["budgets"]] == ["owner:ann"]


async def test_health_says_what_goes_wrong_where(home: Path) -> None:
    """Routes, hours and kinds of errors are the ledger's; a place that a person mended can be said to be."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    async with open_store(settings.home) as store:
        rows = [asked("tok", number) for number in range(30)]
        rows += [asked("tok", 100 + number, Came.FAILED) for number in range(10)]
        await store.ledger.write(rows)
        await store.outages.hold("tok", "access_denied", "The key is refused.")
    async with gate(settings) as here, visiting(here) as visit:
        view = await visit.data("/health.json")
        (route,) = view["routes"]
        assert (route["route"], route["models"], route["requests"], route["success"]) == (
            "together-url", 1, 40, 0.75,
        )  # fmt: skip
        assert len(view["hours"]) == 24
        assert sum(hour["requests"] for hour in view["hours"]) == view["requests"] == 40
        assert [row["model"] for row in view["unwell"]] == ["tok"]
        assert "The key is refused." in words(await visit.see("/health"))
        mended = await visit.send("/health/mend", {"keys": "\n".join(view["unwell"][0]["mend"])})
        assert "again" in words(mended)
        (event,) = await here.rooms.desk.journal.read("tok")
        assert (event.data["did"], event.data["who"]) == ("mend", "this machine")
        assert (await visit.data("/health.json"))["unwell"] == []
