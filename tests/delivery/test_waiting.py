"""Waiting costs few writes, and what reads or sends whole files is done by few deliveries at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.cli.printing import worker_line
from lorry.delivery import Policy
from lorry.delivery.doubles import InstantDurable
from lorry.delivery.performing import Progress, perform
from lorry.delivery.run import Done, Run, Step
from lorry.delivery.workflow import worth_keeping
from lorry.journal import step_note
from tests.delivery.conftest import AT, Bench

waited = st.floats(0, 1e6)


async def test_a_long_wait_is_written_down_seldom(bench: Bench) -> None:
    """A hundred looks that see the same are two answers of the durable runtime, not a hundred."""
    bench.ground.looks = 100
    bench.policy = Policy(limits={}, limit=1e9)
    durable = InstantDurable()
    await bench.walk(durable)
    kept = Counter(name for name, _ in durable.answers)
    assert len(durable.pauses) >= 200  # a hundred looks at the revision, a hundred at the deployment
    assert kept["wait"] <= 2 + sum(durable.pauses) / bench.policy.kept
    assert kept["validate"] <= 2 + sum(durable.pauses) / bench.policy.kept


async def test_a_kill_in_a_wait_costs_at_most_what_may_be_lost(bench: Bench) -> None:
    """What is kept says how long was waited, but for the stretch that may be lost."""
    bench.ground.looks = 100
    bench.policy = Policy(limits={}, limit=1e9, kept=20.0)
    durable = InstantDurable()
    await bench.walk(durable)
    kept = [answer["progress"]["waited"] for name, answer in durable.answers if "again" in answer]
    steps = [b - a for a, b in zip([0.0, *kept], kept, strict=False) if b > a]
    assert max(steps) <= bench.policy.kept + bench.policy.slowest * 1.1


@given(waited, waited, st.floats(1, 1e3))
def test_what_is_news_is_kept(before: float, more: float, every: float) -> None:
    """The first look, another state or failure, a limit that is over, so much waiting; else nothing."""
    kept = Progress("2026-11-25", waited=before, seen="It loads.")
    now = replace(kept, waited=before + more, looks=7)
    assert worth_keeping(None, now, every)
    assert worth_keeping(kept, now, every) == (now.waited - kept.waited >= every)
    for news in (replace(kept, seen="It runs."), replace(kept, failures=1), replace(kept, late=True)):
        assert worth_keeping(kept, news, every)


@pytest.mark.parametrize(("heavy", "most"), [(True, 2), (False, 6)])
async def test_few_send_files_at_once(bench: Bench, heavy: bool, most: int) -> None:
    """Of six deliveries two at a time do a heavy step; whatever else there is waits for nobody."""
    world = replace(bench.world, files=asyncio.Semaphore(2))
    await bench.walk()
    busy: set[int] = set()
    seen: list[int] = []

    async def act(_: Run) -> Done:
        number = len(seen)
        busy.add(number)
        seen.append(len(busy))
        for _turn in range(20):  # others may begin meanwhile
            await asyncio.sleep(0)
        busy.discard(number)
        return Done("It is sent.")

    place = await bench.places.place("local", rehearsal=False)
    run = Run(world, place, bench.model, "delivery")
    step = Step("upload", "Uploading.", act, heavy=heavy)
    answers: list[dict[str, Any]] = await asyncio.gather(*(perform(step, run, None) for _ in range(6)))
    assert answers == [{"done": True}] * 6
    assert max(seen) == most


def test_a_worker_tells_what_it_goes_on_with() -> None:
    """The line names the model; what only matters within a delivery is left out."""
    went_on = step_note("tok", "delivery", "resume", "state", "Going on where it was stopped.", AT)
    assert "tok" in worker_line(went_on)
    assert "Going on" in worker_line(went_on)
    assert worker_line(step_note("tok", "delivery", "wait", "state", "It loads.", AT)) == ""
