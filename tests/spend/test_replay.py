"""Replaying traffic: what a policy would have cost, beside what is the least that it can."""

from __future__ import annotations

import io
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import OptionInvalid
from lorry.model.hours import parse_hours
from lorry.spend.advice import Hosted, break_even, packings
from lorry.spend.learning import CANDIDATES, compare, idle_for
from lorry.spend.replay import Ground, Idling, optimum, replay, total
from lorry.spend.traffic import Asked, read_traffic, write_traffic

GROUND = Ground(549.0, 120.0, 60.0)
REQUESTS = st.lists(
    st.builds(Asked, st.integers(0, 10**6).map(float), st.integers(0, 300).map(float)), max_size=60
).map(sorted)


def test_one_request_costs_a_start_and_an_idle_time() -> None:
    """A single request of a minute waits for its start and costs its minute and the time until the stop."""
    found = replay([Asked(0.0, 60.0)], Idling(30), GROUND)
    assert (found.starts, found.waits, found.waited) == (1, 1, 120.0)
    assert found.minutes == 31
    assert found.cents == pytest.approx(31 * 549 / 60)


@given(REQUESTS)
def test_a_longer_idle_time_never_makes_more_wait(requests: list[Asked]) -> None:
    """The longer something idles the fewer starts there are; no policy is cheaper than the optimum for it."""
    before = math.inf
    for minutes in CANDIDATES:
        found = replay(requests, Idling(minutes), GROUND)
        assert found.starts <= before
        before = found.starts
        best = optimum(requests, found.starts, GROUND)
        assert best.starts <= max(found.starts, 1)
        # A start answers while it begins, which the optimum does not count; the rest it can only match.
        assert best.cents <= found.cents + found.starts * GROUND.cents_per_hour * GROUND.start / 3600 + 10


@given(REQUESTS, st.floats(0, 1))
def test_the_idle_time_of_a_model_keeps_to_its_wait_share(requests: list[Asked], share: float) -> None:
    """What is chosen keeps to the share of requests that may wait, or is the longest that is tried."""
    idling, found = idle_for(requests, share, GROUND)
    assert found.wait_share <= share or idling.minutes == CANDIDATES[-1]
    assert all(parse_hours(text) for text in idling.quiet_hours())


def test_traffic_is_read_as_it_was_written() -> None:
    """A recording goes through a file unchanged; its lines are in order whatever theirs was."""
    traffic = {"b": [Asked(10.5, 1.25)], "a": [Asked(0.0, 0.0), Asked(5.0, 2.0)]}
    file = io.StringIO()
    assert write_traffic(traffic, file) == 3
    file.seek(0)
    assert read_traffic(file, "x.csv") == traffic


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("at,model\n", 0),
        ("", 0),
        ("at,model,seconds\nyesterday,a,1\n2026-11-02,a,-1\n2026-11-02,,1\n2026-11-02,a,nan\n", 4),
    ],
)
def test_a_recording_that_is_none_is_told_with_all_its_problems(text: str, problems: int) -> None:
    """A file without the columns is told so, and every line that can't be read is named."""
    with pytest.raises(OptionInvalid) as caught:
        read_traffic(io.StringIO(text), "x.csv")
    assert caught.value.evidence.get("count", 0) == problems


def test_the_table_has_each_policy_and_the_optimum() -> None:
    """Over a day and night load, what is learned by model is within a tenth of the optimum in hindsight."""
    traffic = {f"m{number}": office_days(number, 20) for number in range(10)}
    rows = dict(compare(traffic, GROUND, 0.01))
    learned = next(found for name, found in rows.items() if name.startswith("idle time by model"))
    best = next(found for name, found in rows.items() if name.startswith("optimum"))
    assert learned.wait_share <= 0.01
    assert rows["never stop"].cents > 2 * learned.cents
    assert (
        learned.cents
        <= 1.1
        * total(
            optimum(each, idle_for(each, 0.01, GROUND)[1].starts, GROUND) for each in traffic.values()
        ).cents
    )
    assert best.cents <= learned.cents


def office_days(seed: int, days: int) -> list[Asked]:
    """Give requests every few minutes from nine to six, and hardly any at night."""
    dice = random.Random(seed)  # noqa: S311 - test data
    found = []
    for day in range(days):
        at = day * 86400 + 9 * 3600 + dice.uniform(0, 1800)
        while at < day * 86400 + 18 * 3600:
            found.append(Asked(round(at, 3), round(dice.uniform(1, 20), 3)))
            at += dice.expovariate(1 / 180)
    return found


def test_break_even_has_the_number_behind_it() -> None:
    """Above price by the hour divided by price by the request a deployment of its own is cheaper."""
    found = break_even("tok", 549.0, 1.54, 400.0)
    assert found is not None
    assert found.requests_per_hour == pytest.approx(356.49, abs=0.01)
    assert found.own
    assert "above 356 requests an hour" in found.sentence
    assert break_even("tok", 549.0, 1.54, 300.0).own is False  # type: ignore[union-attr]
    assert break_even("tok", 0.0, 1.54, 1.0) is None


def test_adapters_of_one_base_are_packed() -> None:
    """Three adapters on deployments of their own cost less on one that they share; one alone stays."""
    hosted = [Hosted(name, "qwen", 549.0) for name in "abc"] + [Hosted("d", "gemma", 549.0)]
    (found,) = packings(hosted, {"qwen": 549.0, "gemma": 549.0})
    assert (found.models, found.deployments) == (("a", "b", "c"), 1)
    assert (found.now_cents, found.packed_cents) == (1647.0, 549.0)
    assert packings(hosted, {"qwen": 2000.0}) == ()
