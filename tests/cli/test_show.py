"""`lorry show` of a delivery that goes on in another process: stages, the platform's words, the estimate."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lorry.cli.main import run
from lorry.journal import step_done, step_note, step_started
from lorry.journal.estimates import ENOUGH
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.store import open_store

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROUTE = "together-merged"
MODEL = TrainedModel("tok", "/m/tok", "ab" * 32, "qwen3", "Qwen/Qwen3-0.6B", None, 54, AT, "text-lora")
IDS = ProviderIds(model="ml_1", endpoint="ep_1", endpoint_name="me/tok", deployment="dep_1")
PLACE = Placement("tok", ROUTE, PlacementState.DELIVERING, "deploy", IDS, None, None, AT)


async def _write(home: Path, place: Placement, *, deliveries: int) -> None:
    """Keep a model on its way, its journal, and so many earlier deliveries that waited for a minute."""
    later = AT + timedelta(seconds=60)
    route = {"route": ROUTE}
    async with open_store(home) as store:
        await store.save_model(MODEL)
        await store.save_placement(place)
        for number in range(deliveries):
            await store.write(step_started(f"m{number}", "delivery", "wait", "Waits.", AT))
            await store.write(step_done(f"m{number}", "delivery", "wait", "Ready.", later, AT, route))
        await store.write(step_started("tok", "delivery", "check", "Checks.", AT))
        await store.write(step_done("tok", "delivery", "check", "Sound.", AT, AT))
        await store.write(step_started("tok", "delivery", "wait", "Waits.", AT))
        said = {"said": "DEPLOYMENT_STATE_PROVISIONING"}
        await store.write(step_note("tok", "delivery", "wait", "state", "Scheduling.", AT, said))
        warned = {"id": "ev_1", "kind": "condition.set", "level": "warn", "at": "2026-11-23T12:00:01Z"}
        await store.write(step_note("tok", "delivery", "wait", "platform", "No H100 is free.", AT, warned))


def _shown(
    home: Path, capsys: pytest.CaptureFixture[str], place: Placement = PLACE, deliveries: int = ENOUGH
) -> tuple[str, dict[str, Any]]:
    """Give what `show` prints, as text and as data."""
    asyncio.run(_write(home, place, deliveries=deliveries))
    assert run(["show", "tok", "--home", str(home)]) == 0
    text = capsys.readouterr().out
    assert run(["show", "tok", "--json", "--home", str(home)]) == 0
    return text, json.loads(capsys.readouterr().out)


def test_a_delivery_is_told_stage_by_stage(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text has each stage, the platform's own word for the present one, its reasons and the estimate."""
    text, _ = _shown(home, capsys)
    lines = [line.strip() for line in text.splitlines()]
    assert any(
        line.startswith(
            "deployment  running  DEPLOYMENT_STATE_PROVISIONING  Scheduling.  (longer than 9 of 10"
        )
        for line in lines
    )
    assert "2026-11-23T12:00:01Z  warn   No H100 is free." in lines
    assert "proved      ahead" in lines


def test_the_data_has_the_names_that_other_systems_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`together` is flat and has the ids, the stage and the platform's word; `status` has the rest."""
    _, data = _shown(home, capsys)
    together = data["together"]
    assert (together["together_model_id"], together["together_endpoint_id"]) == ("ml_1", "ep_1")
    assert (together["together_status"], together["deployment_id"]) == ("deployment", "dep_1")
    assert together["together_said"] == "DEPLOYMENT_STATE_PROVISIONING"
    assert data["status"]["estimate"] == {"p50": 60.0, "p90": 60.0, "samples": ENOUGH}
    assert data["status"]["reasons"][0]["message"] == "No H100 is free."


def test_nothing_is_estimated_from_too_little(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With fewer deliveries than enough, neither text nor data has an estimate."""
    text, data = _shown(home, capsys, deliveries=ENOUGH - 1)
    assert "9 of 10" not in text
    assert data["status"]["estimate"] is None


def test_a_model_that_is_ready_is_shown_without_its_stages(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once it answers, the text is about the proof; the data still says that every stage is done."""
    text, data = _shown(home, capsys, replace(PLACE, state=PlacementState.READY))
    assert "ahead" not in text
    assert "the platform says" not in text
    assert {stage["state"] for stage in data["status"]["stages"]} == {"done"}
    assert data["together"]["together_status"] == "proved"


def test_a_local_model_has_no_names_at_together(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The embedded engine's ids are no ids of Together's."""
    _, data = _shown(home, capsys, replace(PLACE, route="local"))
    assert data["together"] is None
    assert data["status"]["status"] == "deployment"
