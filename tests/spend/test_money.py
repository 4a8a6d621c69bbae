"""What ran and what it cost, by values and properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import BudgetSpent, OptionInvalid
from lorry.model.billing import Billed, BilledKind, Run
from lorry.model.budget import (
    Budget,
    Spent,
    ends_of,
    holding,
    require_room,
    require_sound_budget,
    severest,
    standings,
)
from lorry.model.costs import Bought
from lorry.spend.costs import BY, report
from lorry.spend.metering import Whose, settled

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def run(begin: float, end: float | None, **changes: object) -> Run:
    """Give a run from so many hours before now to so many before now."""
    values: dict[str, object] = {
        "object": "dep_1", "name": "lorry-tok-1", "model": "tok", "route": "together-merged",
        "rehearsal": False, "hardware": "1xh100", "cents_per_hour": 600.0, "replicas": 1,
        "begun_at": NOW - timedelta(hours=begin),
        "ended_at": None if end is None else NOW - timedelta(hours=end),
    }  # fmt: skip
    return Run(**{**values, **changes})  # type: ignore[arg-type]


def shown(running: int, **changes: object) -> Billed:
    """Give what the platform shows of it."""
    values: dict[str, object] = {"cents_per_hour": 600.0, "running": running, "wanted": running, **changes}
    return Billed("dep_1", BilledKind.DEPLOYMENT, "lorry-tok-1", **values)  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.integers(1, 600), st.integers(0, 3)), min_size=1, max_size=12),
    st.sets(st.integers(0, 11)),
)
def test_what_is_written_down_is_what_ran(steps: list[tuple[int, int]], looks: set[int]) -> None:
    """Whenever somebody looks, and however often, the runs are those of the platform's own history."""
    at = NOW
    history: list[tuple[datetime, int]] = []
    for seconds, count in steps:
        at += timedelta(seconds=seconds)
        if not history and not count:
            continue
        if not history or history[-1][1] != count:
            history.append((at, count))
    books: dict[datetime, Run] = {}
    for number in sorted(looks | {len(history) - 1}):
        seen = history[: number + 1]
        if not seen or number >= len(history):
            continue
        known = next((each for each in books.values() if each.ended_at is None), None)
        found = settled(shown(seen[-1][1]), known, seen, Whose("tok", "local"), seen[-1][0])
        books.update((each.begun_at, each) for each in found)
    expected = {
        begin: (count, history[number + 1][0] if number + 1 < len(history) else None)
        for number, (begin, count) in enumerate(history)
        if count
    }
    if history and (history[-1][1] or books):
        assert {begin: (each.replicas, each.ended_at) for begin, each in books.items()} == expected


def test_without_a_history_the_time_of_the_look_has_to_do() -> None:
    """Where no times are told, the moment of the look counts; with a new price a new run begins."""
    (begun,) = settled(shown(2), None, (), Whose(), NOW)
    assert (begun.begun_at, begun.replicas) == (NOW, 2)
    (ended,) = settled(shown(0), begun, (), Whose(), NOW + DAY)
    assert ended.ended_at == NOW + DAY
    before, after = settled(shown(2, cents_per_hour=700.0), begun, (), Whose(), NOW + DAY)
    assert (before.ended_at, after.cents_per_hour) == (NOW + DAY, 700.0)


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 200), st.floats(0, 1), st.integers(1, 3), st.sampled_from(["a", "b", None])
        ),
        max_size=8,
    ),
    st.sampled_from(BY),
)
def test_however_costs_are_told_they_are_the_same(
    spans: list[tuple[float, float, int, str]], by: str
) -> None:
    """By model, owner, route or day: the rows always add up to what the runs cost to the minute."""
    runs = [
        run(begin, begin * part, object=f"d{number}", replicas=count, model=model)
        for number, (begin, part, count, model) in enumerate(spans)
    ]
    since = NOW - 10 * DAY
    found = report(runs, (), {"a": "ann"}, {}, since, NOW, by)
    assert found.total.cents == pytest.approx(sum(each.cents(since, NOW) for each in runs))
    assert sum(row.cents for row in found.rows) == pytest.approx(found.total.cents)
    assert found.total.idle_share == pytest.approx(1.0 if found.total.minutes else 0.0)


def test_idle_minutes_are_those_in_which_nothing_was_asked() -> None:
    """Of two hours, thirty minutes with a request leave an idle share of three quarters."""
    bought = [Bought("2026-11-10", "tok", None, "together-merged", False, 90, 30, 0.0)]
    found = report([run(3, 1)], bought, {}, {}, NOW - DAY, NOW)
    (row,) = found.rows
    assert (row.minutes, row.idle_minutes, row.idle_share) == (120, 90, 0.75)
    assert row.requests == 90


def test_what_several_share_is_split_by_their_requests() -> None:
    """A base that two adapters are on costs each as much as its share of the requests; evenly without any."""
    shared = [run(2, 0, model=None, object="base")]
    asked = [
        Bought("2026-11-10", "a", None, "together-attached", False, 30, 9, 0.0),
        Bought("2026-11-10", "b", None, "together-attached", False, 10, 9, 0.0),
    ]
    members = {"base": ("a", "b")}
    costs = {row.key: row.cents for row in report(shared, asked, {}, members, NOW - DAY, NOW).rows}
    assert costs == {"a": pytest.approx(900.0), "b": pytest.approx(300.0)}
    costs = {row.key: row.cents for row in report(shared, (), {}, members, NOW - DAY, NOW).rows}
    assert costs == {"a": pytest.approx(600.0), "b": pytest.approx(600.0)}


def test_rehearsals_are_no_costs() -> None:
    """What the engine played is told apart, and counts nowhere else."""
    runs = [run(2, 1), run(2, 1, object="dep_2", rehearsal=True)]
    found = report(runs, (), {}, {}, NOW - DAY, NOW)
    assert (found.total.cents, found.rehearsed_cents) == (600.0, 600.0)
    assert report(runs, (), {}, {}, NOW - DAY, NOW, rehearsal=True).total.cents == 600.0


def test_the_month_is_what_was_spent_and_what_is_to_come() -> None:
    """Spent since its beginning, and what runs now until its end; a price that nobody tells is said."""
    month = NOW.replace(day=1, hour=0)
    found = report([run(10, None)], (), {}, {}, month, NOW)
    left = (datetime(2026, 12, 1, tzinfo=UTC) - NOW).total_seconds() / 3600
    assert found.total.running_cents == 600.0
    assert found.total.month_cents == pytest.approx(6000 + 600 * left)
    assert not found.total.untold
    assert report([run(1, None, cents_per_hour=None)], (), {}, {}, month, NOW).total.untold


def test_a_budget_says_how_much_is_left_and_until_when() -> None:
    """What does not fit is refused with what is left of each budget that holds, and when it begins anew."""
    budgets = [
        Budget("all", month_cents=10_000),
        Budget("model:tok", day_cents=500),
        Budget("owner:ann", day_cents=100, at_limit="warn"),
        Budget("model:other", day_cents=0),
    ]
    spent = {"all": Spent(450, 9_000), "model:tok": Spent(450, 2_000), "owner:ann": Spent(450, 450)}
    found = holding(standings(budgets, spent, NOW), "tok", "ann")
    assert [each.budget.scope for each in found] == ["model:tok", "owner:ann", "all"]
    require_room(found, 50, "An hour")
    with pytest.raises(BudgetSpent) as caught:
        require_room(found, 549, "An hour of 1xh100")
    assert "model:tok for the day is $5.00, $0.50 of it are left until 2026-11-11 00:00" in str(caught.value)
    assert len(caught.value.evidence["budgets"]) == 1
    worst = severest(found)
    assert worst is not None
    assert worst.budget.scope == "owner:ann"
    assert ends_of(datetime(2026, 12, 31, 23, tzinfo=UTC))[1] == datetime(2027, 1, 1, tzinfo=UTC)


def test_all_problems_of_a_budget_are_told_at_once() -> None:
    """Each value that can't be used is named."""
    with pytest.raises(OptionInvalid) as caught:
        require_sound_budget(Budget("model:", -1, float("nan"), "explode", 2))
    assert len(caught.value.evidence["problems"]) == 5
