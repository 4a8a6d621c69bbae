"""The ledger counted, by model and by the hour: the same laws on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.kept import Came, Generated, LedgerRow, State
from lorry.model.tally import SPANS, Tally
from lorry.store import Store, open_store

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Store]:
    """Give each kind of database."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as opened:
        yield opened


def row(
    number: int, came: Came, *, place: str | None = "tok", owner: str | None = None, code: str | None = None,
    ago: float = 1.0, milliseconds: float = 100.0,
) -> LedgerRow:  # fmt: skip
    """Give a row of so many hours ago."""
    at = NOW - timedelta(hours=ago)
    route = "local" if place else None
    return LedgerRow(
        f"r{number}-1", f"r{number}", at, None, owner, "tok", place, route, False, "images", came, code,
        milliseconds=milliseconds,
    )  # fmt: skip


async def test_what_failed_counts_against_a_model_and_what_was_refused_does_not(store: Store) -> None:
    """By the place that was asked, else by the model; only since the time."""
    came = (Came.OK, Came.OK, Came.FAILED, Came.UNKNOWN, Came.REFUSED, Came.LEFT, Came.SENT)
    rows = [row(number, each) for number, each in enumerate(came)]
    rows += [row(20, Came.OK, place="blue"), row(21, Came.FAILED, place=None), row(22, Came.OK, ago=30)]
    await store.ledger.write(rows)
    found = await store.figures.asked(NOW - timedelta(hours=2))
    assert found == {"tok": Tally(5, 3), "blue": Tally(1, 0)}
    assert found["tok"].success == pytest.approx(0.4)
    assert Tally().success is None


async def test_hours_have_outcomes_errors_times_and_routes(store: Store) -> None:
    """Each row is in one hour and one span; an owner's are its own."""
    rows = [row(number, Came.OK, ago=0.1, milliseconds=ms) for number, ms in enumerate((5, 10, 10**9))]
    rows += [row(10, Came.FAILED, ago=0.2, code="no_capacity"), row(11, Came.OK, ago=1, owner="ann")]
    await store.ledger.write(rows)
    before, now = await store.figures.hours(NOW - timedelta(hours=24), None)
    assert (before.hour, now.hour) == ("2026-11-30T11", "2026-11-30T12")
    assert now.outcomes == {"ok": 3, "failed": 1}
    assert now.codes == {"no_capacity": 1}
    assert now.spans == {0: 1, 1: 1, len(SPANS): 1}
    assert now.routes == {"local": (3, 1)}
    (own,) = await store.figures.hours(NOW - timedelta(hours=24), "ann")
    assert own.outcomes == {"ok": 1}


async def test_asleep_is_what_ran_and_may_not_run_now(store: Store) -> None:
    """An object whose runs have all ended, and that has no lease; what never ran is not known to sleep."""
    day = timedelta(days=1)

    def run(name: str, ended: bool, ago: int = 2) -> Run:
        begun = NOW - ago * day
        return Run(name, name, "tok", "local", False, "gpu", 1.0, 1, begun, NOW - day if ended else None)

    await store.books.save_runs([run("a", True), run("b", True, 3), run("b", False), run("c", True)])
    lease = Lease("c", BilledKind.DEPLOYMENT, "c", "e", False, "tok", NOW + day, "it was just started")
    await store.books.save_leases([lease])
    assert await store.figures.asleep() == {"a"}


async def test_kept_results_are_found_by_the_beginning_of_their_key(store: Store) -> None:
    """Signs that mean something to LIKE mean nothing here."""
    for number, key in enumerate(("play-1", "play_2", "play-%", "other", None)):
        made = Generated(
            f"g{number}", "ann", None, key, "f", "tok", "generate", "{}", False, State.DONE,
            NOW + timedelta(seconds=number),
        )  # fmt: skip
        await store.kept.begin(made)
    found = await store.kept.listed("ann", everybody=False, limit=10, key="play-")
    assert [each.key for each in found] == ["play-%", "play-1"]
    assert [each.key for each in await store.kept.listed("ann", everybody=False, limit=10, key="play-%")] == [
        "play-%"
    ]
    assert await store.kept.listed("bob", everybody=False, limit=10, key="play-") == []
