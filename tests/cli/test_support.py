"""The page that `lorry debug` writes: all that is known, and nothing that nobody may read."""

from __future__ import annotations

from datetime import UTC, datetime

from lorry.api.debugging import Case
from lorry.cli.support import support_page
from lorry.errors import NoCapacity
from lorry.journal import status_of, step_done, step_failed, step_started
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.model.serving import DEFAULT_POLICY

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MODEL = TrainedModel("tok", "/files/tok", "a" * 64, "flux1", "lorry/base", "TOK", 54, NOW)
MACHINE = {"versions": {"lorry": "0.1.0"}, "settings": {"together_key": "set"}, "problems": {}}


def case(placement: Placement | None, *, model: TrainedModel | None = MODEL) -> Case:
    """Give a model whose delivery failed at its second step."""
    error = NoCapacity("No accelerator | is free.", evidence={"hardware": "1xh100"})
    events = (
        step_started("tok", "delivery", "check", "Checking.", NOW),
        step_done("tok", "delivery", "check", "Sound.", NOW, NOW),
        step_started("tok", "delivery", "deploy", "Deploying.", NOW),
        step_failed("tok", "delivery", "deploy", error, NOW, NOW),
    )
    attempts = [
        {"at": NOW.isoformat(), "request": f"req_{n}", "route": "local", "outcome": outcome, "code": code,
         "status": 503, "milliseconds": 12.0}
        for n, (outcome, code) in enumerate([("ok", None), ("failed", "no_capacity"), ("ok", None)])
    ]  # fmt: skip
    status = status_of(placement, events) if placement else None
    return Case("tok", model, placement, status, DEFAULT_POLICY, events, (), attempts)


def failed() -> Placement:
    """Give where it is."""
    ids = ProviderIds(endpoint="ep_1")
    error = NoCapacity("No accelerator | is free.", evidence={"hardware": "1xh100"}).as_dict()
    return Placement("tok", "together-merged", PlacementState.FAILED, "deploy", ids, None, error, NOW)


def test_the_page_tells_what_went_wrong_first() -> None:
    """State, the last error with its evidence and next step, the timeline, requests, journal, versions."""
    page = support_page(case(failed()), MACHINE, NOW)
    heads = [line for line in page.splitlines() if line.startswith("## ")]
    assert heads == [
        "## Last error (2026-11-30 12:00:00)",
        "## Model",
        "## Where it is",
        "## Policy",
        "## Timeline",
        "## The last 3 attempts to generate",
        "## Journal",
        "## Versions",
        "## Settings",
    ]
    assert "State: **failed, at the step deploy**. Route: together-merged." in page
    assert "`no_capacity`: No accelerator | is free." in page
    assert '"hardware": "1xh100"' in page
    assert "| deploy | failed | 0.00 |  | No accelerator \\| is free. |" in page  # a table's cell
    assert "2 × ok, 1 × failed no_capacity." in page


def test_a_model_that_is_nowhere_or_gone_has_a_page_too() -> None:
    """What is left of it is told."""
    assert "It is on no route yet." in support_page(case(None), MACHINE, NOW)
    assert "It was retired" in support_page(case(None, model=None), MACHINE, NOW)
