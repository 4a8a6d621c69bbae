"""Leases, runs, budgets, and what the ledger says of use: the same laws on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.budget import Budget, Spent
from lorry.model.kept import Came, LedgerRow
from lorry.model.serving import Policy
from lorry.store import Store, open_store

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Store]:
    """Give each kind of database."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as opened:
        yield opened


def asked(
    number: int,
    before: timedelta,
    seconds: float,
    cents: float = 0.0,
    route: str = "together-merged",
    *,
    rehearsal: bool = False,
) -> LedgerRow:
    """Give a row of the ledger."""
    name, at = f"r{number}", NOW - before
    return LedgerRow(
        f"{name}-1", name, at, "t", "ann", "tok", "tok", route, rehearsal, "images", Came.OK,
        milliseconds=seconds * 1000, cents=cents,
    )  # fmt: skip


async def test_leases_and_runs_come_back_as_they_were(store: Store) -> None:
    """They are replaced by their keys, forgotten on demand, and read whole."""
    lease = Lease("dep_1", BilledKind.LEGACY, "lorry-a-1", "ep", True, None, NOW, "why", NOW, NOW, None, NOW)
    run = Run("dep_1", "lorry-a-1", None, None, True, "1xh100", None, 2, NOW)
    await store.books.save_leases([lease, replace(lease, object="dep_2")])
    await store.books.save_leases([replace(lease, reason="other")], ["dep_2"])
    assert await store.books.leases() == (replace(lease, reason="other"),)
    await store.books.save_runs([run])
    await store.books.save_runs([replace(run, ended_at=NOW + timedelta(hours=1))])
    await store.books.save_runs([replace(run, object="dep_3")])
    assert [each.object for each in await store.books.open_runs()] == ["dep_3"]
    found = await store.books.runs(NOW, NOW + timedelta(hours=2))
    assert {each.object for each in found} == {"dep_1", "dep_3"}
    later = await store.books.runs(NOW + timedelta(hours=1), NOW + timedelta(hours=2))
    assert [each.object for each in later] == ["dep_3"]


async def test_requests_at_once_are_those_of_a_minute(store: Store) -> None:
    """Four requests of half a minute that began in one minute are two at once; the newest minutes are now."""
    rows = [asked(number, timedelta(minutes=5), 30.0) for number in range(4)]
    rows += [asked(9, timedelta(minutes=1), 60.0)]
    await store.ledger.write(rows)
    found = (await store.books.activity(NOW - timedelta(hours=1), NOW))["tok"]
    assert found.used_at == NOW - timedelta(minutes=1)
    assert (found.load.now, found.load.peak) == (1.0, 2.0)
    assert await store.books.activity(NOW, NOW) == {}


async def test_what_was_spent_counts_to_each_of_its_scopes(store: Store) -> None:
    """Hours and requests count to the model, to its owner and to all; rehearsals and last month do not."""
    await store.set_policy("tok", Policy(owner="ann"))
    run = Run(
        "dep_1", "lorry-tok-1", "tok", "together-merged", False, "1xh100", 600.0, 1, NOW.replace(hour=10)
    )
    runs = [
        replace(run, ended_at=NOW.replace(hour=11)),
        replace(run, object="dep_2", rehearsal=True),
        replace(
            run, begun_at=datetime(2026, 11, 1, tzinfo=UTC), ended_at=datetime(2026, 11, 1, 2, tzinfo=UTC)
        ),
        replace(run, begun_at=datetime(2026, 10, 1, tzinfo=UTC), ended_at=datetime(2026, 10, 2, tzinfo=UTC)),
    ]
    await store.books.save_runs(runs)
    await store.ledger.write(
        [
            asked(1, timedelta(hours=1), 1.0, cents=5.0, route="together-url"),
            asked(2, timedelta(days=3), 1.0, cents=7.0, route="together-url"),
            asked(3, timedelta(hours=1), 1.0, cents=9.0, rehearsal=True),
        ]
    )
    spent = await store.books.spent(NOW)
    expected = Spent(605.0, 1812.0)
    assert spent["model:tok"] == expected
    assert spent["owner:ann"] == expected
    assert spent["all"] == expected
    bought = await store.books.bought(NOW - timedelta(days=1), NOW)
    assert {(each.route, each.owner, each.cents) for each in bought} == {
        ("together-url", "ann", 5.0),
        ("together-merged", "ann", 9.0),
    }
    await store.ledger.write([asked(4, timedelta(hours=2), 1.0, route="local")])
    local = [each for each in await store.books.bought(NOW - timedelta(days=1), NOW) if each.route == "local"]
    assert [each.rehearsal for each in local] == [True]
    traffic = await store.books.asked(NOW - timedelta(days=1), NOW)
    assert [each.seconds for each in traffic["tok"]] == [1.0, 1.0, 1.0]


async def test_a_budget_is_one_of_its_scope(store: Store) -> None:
    """Setting one again replaces it; forgetting what is not there is fine."""
    await store.books.set_budget(Budget("all", 100))
    await store.books.set_budget(Budget("all", None, 200, "warn", 0.5))
    assert await store.books.budgets() == (Budget("all", None, 200, "warn", 0.5),)
    await store.books.forget_budget("all")
    await store.books.forget_budget("all")
    assert await store.books.budgets() == ()
