"""The keeper against the engine, over HTTP: what has no lease stops, and our figures are the invoice's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lorry.model.names import stamped
from lorry.spend.costs import report
from lorry.spend.deciding import Act
from lorry.wiring import House
from lorry.wiring.spending import keeper_of
from tests.spend.ground import Ground, ground, minutes

READY, STOPPED = "DEPLOYMENT_STATE_READY", "DEPLOYMENT_STATE_STOPPED"


async def _ours(at: Ground) -> float:
    """Give our own figure for all that ran, US cents."""
    begin = at.now - minutes(60 * 24 * 40)
    runs = await at.store.books.runs(begin, at.now)
    found = report(runs, (), {}, {}, begin, at.now, rehearsal=True)
    return found.total.cents


async def test_what_is_not_used_stops_when_its_lease_is_over(tmp_path: Path) -> None:
    """A deployment that nobody asks runs for its lease and no longer, and the cost is the invoice's."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("tok")
        await at.keeper.once()
        await at.passes(59, every=59)
        assert (await at.deployment(endpoint, deployment))["status"]["state"] == READY
        await at.passes(3)
        assert (await at.deployment(endpoint, deployment))["status"]["state"] == STOPPED
        assert at.told.actions() == ["stop"]
        await at.passes(60, every=60)
        bill = await at.invoice()
        assert bill["totalCents"] > 0
        assert await _ours(at) == pytest.approx(bill["totalCents"], abs=0.01)
        assert await at.store.books.leases() == ()


async def test_use_renews_a_lease(tmp_path: Path) -> None:
    """Each request makes the lease begin anew: what is asked every half hour runs on."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("tok")
        await at.keeper.once()
        for _ in range(8):
            await at.asked("tok", at.now)
            await at.passes(30, every=15)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == READY
        await at.passes(120, every=20)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == STOPPED
        bill = await at.invoice()
        assert await _ours(at) == pytest.approx(bill["totalCents"], abs=0.01)


async def test_the_expiry_stands_in_the_platform_s_own_fields(tmp_path: Path) -> None:
    """The name at the platform says until when; with our database gone that alone stops what is over."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("tok")
        await at.keeper.once()
        name = (await at.deployment(endpoint, deployment))["name"].rpartition("/")[2]
        plain = name.partition("-until-")[0]
        assert name == stamped(plain, at.now + minutes(60))
        at.engine.advance(30 * 60)
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "lorry.sqlite").write_bytes(b"this is no database, and never was one")
        blind = House(replace(at.house.settings, home=tmp_path / "broken"), clock=at.engine.clock.now)
        try:
            passed = await keeper_of(blind).once()
            assert any("store can't be read" in problem for problem in passed.problems)
            assert (await at.deployment(endpoint, deployment))["status"]["state"] == READY
            at.engine.advance(31 * 60)
            await keeper_of(blind).once()
            assert (await at.deployment(endpoint, deployment))["status"]["state"] == STOPPED
        finally:
            await blind.close()


async def test_what_is_not_ours_is_told_and_left_alone(tmp_path: Path) -> None:
    """A deployment under a name of somebody else is reported, and never stopped."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("production-llm", placed=False)
        await at.passes(600, every=300)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == READY
        passed = await at.keeper.once()
        assert [done.decision.act for done in passed.done] == [Act.REPORT]


async def test_what_is_ours_and_lost_is_adopted(tmp_path: Path) -> None:
    """A deployment of our name that no delivery knows of gets a lease, and stops when that is over."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("lorry-lost-12345678", placed=False)
        await at.passes(5)
        assert at.told.actions() == ["adopted"]
        assert len(await at.store.books.leases()) == 1
        await at.passes(60, every=5)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == STOPPED


async def test_what_others_use_is_not_stopped(tmp_path: Path) -> None:
    """Requests that did not come through our gateway count too: the platform is asked before a stop."""
    async with ground(tmp_path) as at:
        endpoint, deployment = await at.deploy("tok")
        split = {"trafficSplit": [{"deploymentId": deployment, "weight": 1}]}
        path = f"/v2/projects/{at.engine.project}/endpoints/{endpoint}"
        await at.http.patch(path, params={"updateMask": "trafficSplit"}, json=split)
        found = (await at.http.get(path)).json()
        await at.keeper.once()
        await at.passes(50, every=5)
        body = {"model": found["name"], "prompt": "an apple", "width": 64, "height": 64, "steps": 1}
        answer = await at.http.post("/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
        await at.passes(20, every=5)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == READY
        await at.passes(120, every=20)
        state = (await at.deployment(endpoint, deployment))["status"]["state"]
        assert state == STOPPED


async def test_two_days_of_use_agree_with_the_invoice(tmp_path: Path) -> None:
    """Models that are asked by day, stopped at night and started again cost what the invoice says."""
    async with ground(tmp_path, lease=30.0) as at:
        begin = at.now.replace(hour=0) + timedelta(days=1)
        at.engine.advance((begin - at.now).total_seconds())
        placed = {name: await at.deploy(name) for name in ("early", "late", "never")}
        hours = {"early": range(6, 12), "late": range(14, 21), "never": range(0)}
        for _ in range(2 * 24 * 3):
            at.engine.advance(1200)
            for name, (endpoint, deployment) in placed.items():
                if at.now.hour not in hours[name]:
                    continue
                if (await at.deployment(endpoint, deployment))["status"]["readyReplicas"] == 0:
                    await at.start(endpoint, deployment)  # as the gateway does with the first request
                await at.asked(name, at.now)
            await at.keeper.once()
        bill = await at.invoice()
        assert len(bill["lines"]) == 2 * 2 + 3  # each day, and once when they were deployed
        assert await _ours(at) == pytest.approx(bill["totalCents"], abs=0.01)
        stops = [str(name) for name, action, _ in at.told.notes if action == "stop"]
        assert sorted(stops) == ["early"] * 3 + ["late"] * 3 + ["never"]
