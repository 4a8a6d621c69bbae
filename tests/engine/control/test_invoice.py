"""Time that is set ahead, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from lorry.engine.clock import WallClock
from lorry.engine.config import EngineConfig
from lorry.engine.testing import RunningEngine, running_engine
from lorry.engine.works import open_works
from tests.engine.control.test_faults import MINE, control, deployed

H100_CENTS = 549  # Together API dossier 0, fact 10


def invoice(engine: RunningEngine, **period: str) -> dict[str, Any]:
    """Ask for the invoice."""
    answer = httpx2.get(
        f"{engine.url}/_lorry/invoice", params=period, headers={"Authorization": f"Bearer {MINE}"}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_invoice_has_each_run_with_its_price(home: Path, tmp_path: Path) -> None:
    """Minutes that are begun count, for each replica, from ready until stopped; a running one counts on."""
    with running_engine(home, hardware="together") as engine:
        assert invoice(engine)["lines"] == []
        official, endpoint, made = deployed_on(engine, tmp_path, "cr_flux_icons_64_h100")
        engine.advance(90)
        (line,) = invoice(engine)["lines"]
        assert (line["minutes"], line["replicas"], line["endedAt"]) == (2, 1, None)
        assert line["cents"] == round(2 * H100_CENTS / 60, 4)
        official.endpoints.deployments.update(
            made.id,
            endpoint_id=endpoint,
            autoscaling={"min_replicas": 0, "max_replicas": 0},
            update_mask="autoscaling",
        )
        before = invoice(engine)
        engine.advance(7200)
        after = invoice(engine)
        assert before["totalCents"] == after["totalCents"] == line["cents"]
        assert after["lines"][0]["endedAt"] is not None


def deployed_on(engine: RunningEngine, tmp_path: Path, config: str) -> tuple[Any, str, Any]:
    """Bring an adapter to a deployment with one of Together's configurations."""
    official, endpoint, first = deployed(engine, tmp_path, config)
    return official, endpoint, official.endpoints.deployments.retrieve(first.id, endpoint_id=endpoint)


def test_what_ran_is_billed_after_it_is_deleted_and_after_a_restart(home: Path, tmp_path: Path) -> None:
    """The ledger outlives the deployment and the process."""
    with running_engine(home, hardware="together") as engine:
        official, endpoint, made = deployed_on(engine, tmp_path, "cr_flux_icons_64_h100")
        engine.advance(60)
        official.endpoints.deployments.update(
            made.id,
            endpoint_id=endpoint,
            autoscaling={"min_replicas": 0, "max_replicas": 0},
            update_mask="autoscaling",
        )
        official.endpoints.deployments.delete(made.id, endpoint_id=endpoint)
        billed = invoice(engine)["totalCents"]
    assert billed == round(H100_CENTS / 60, 4)
    with running_engine(home, hardware="together", clock=WallClock(10**7)) as engine:
        assert invoice(engine)["totalCents"] == billed


def test_a_period_has_its_own_share(home: Path, tmp_path: Path) -> None:
    """Only what ran between the two times is on its invoice."""
    with running_engine(home, hardware="together") as engine:
        begun = engine.clock.now()
        deployed_on(engine, tmp_path, "cr_flux_icons_64_h100")
        engine.advance(600)
        middle = engine.clock.now().isoformat()
        engine.advance(600)
        assert [line["minutes"] for line in invoice(engine)["lines"]] == [20]
        assert [line["minutes"] for line in invoice(engine, since=middle)["lines"]] == [10]
        assert [line["minutes"] for line in invoice(engine, until=middle)["lines"]] == [10]
        assert invoice(engine, until=begun.isoformat())["lines"] == []


def test_time_is_set_ahead_and_stays_so(home: Path) -> None:
    """Another process of the same home is as far ahead, and the engine's time never goes back."""
    works = open_works(EngineConfig(home))
    try:
        before = works.clock.now()
        works.advance(3600)
        works.advance(3600)
        assert (works.clock.now() - before).total_seconds() >= 7200
    finally:
        works.close()
    again = open_works(EngineConfig(home))
    try:
        assert (again.clock.now() - before).total_seconds() >= 7200
    finally:
        again.close()


@pytest.mark.parametrize("seconds", [0, -5, 1e30])
def test_time_that_can_t_pass_is_refused(home: Path, seconds: float) -> None:
    """No time, time backwards and ages are refused with a sentence."""
    with running_engine(home) as engine:
        before = control(engine, "GET", "/clock").json()
        answer = control(engine, "POST", "/clock/advance", body={"seconds": seconds})
        assert answer.status_code == 400
        assert control(engine, "GET", "/clock").json() == before


def test_an_idle_deployment_stops_when_time_is_set_ahead(home: Path, tmp_path: Path) -> None:
    """Advancing the clock over HTTP lets an inactive timeout come true, and the bill ends with it."""
    with running_engine(home, hardware="together") as engine:
        official, endpoint, made = deployed_on(engine, tmp_path, "cr_flux_icons_64_h100")
        official.endpoints.deployments.update(
            made.id, endpoint_id=endpoint, inactive_timeout=30, update_mask="inactiveTimeout"
        )
        assert control(engine, "POST", "/clock/advance", body={"seconds": 1801}).status_code == 200
        seen = official.endpoints.deployments.retrieve(made.id, endpoint_id=endpoint)
        assert seen.status.state == "DEPLOYMENT_STATE_STOPPED"
        total = invoice(engine)["totalCents"]
        control(engine, "POST", "/clock/advance", body={"seconds": 86400})
        assert invoice(engine)["totalCents"] == total
