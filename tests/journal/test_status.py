"""One status of a delivery, folded from its journal, with the platform's own words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lorry.delivery.routes import plan_of
from lorry.errors import DeploymentFailed
from lorry.journal import (
    StageState,
    Status,
    status_of,
    step_done,
    step_failed,
    step_note,
    step_started,
    together_of,
)
from lorry.journal.status import STAGE_OF, STAGES, stages_of
from lorry.model.events import Event
from lorry.model.options import ShipOptions
from lorry.model.placement import Placement, PlacementState, ProviderIds

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IDS = ProviderIds(model="ml_1", revision="rv_1", endpoint="ep_1", endpoint_name="me/tok", deployment="dep_1")
PLACE = Placement("tok", "together-merged", PlacementState.DELIVERING, None, IDS, None, None, AT)
BEFORE = ("check", "register", "upload", "validate", "endpoint", "deploy")


def _done(*steps: str) -> list[Event]:
    return [
        event
        for step in steps
        for event in (
            step_started("tok", "delivery", step, f"{step} begins.", AT),
            step_done("tok", "delivery", step, f"{step} ended.", AT, AT, {"said": f"{step.upper()}_OVER"}),
        )
    ]


def _waiting() -> list[Event]:
    begun = AT + timedelta(seconds=5)
    return [
        *_done(*BEFORE),
        step_started("tok", "delivery", "wait", "Waiting.", begun),
        step_note("tok", "delivery", "wait", "state", "Pulling the image.", begun, {"said": "PROVISIONING"}),
    ]


def _states(status: Status) -> list[str]:
    return [f"{stage.name} {stage.state}" for stage in status.stages]


def test_the_stages_follow_each_other() -> None:
    """What lies behind is done, the present one runs, the rest is ahead."""
    status = status_of(PLACE, _waiting())
    assert _states(status) == [
        "files done",
        "revision done",
        "deployment running",
        "routed ahead",
        "proved ahead",
    ]
    assert (status.current.name, status.word) == ("deployment", "deployment")


def test_the_platform_s_own_words_are_kept() -> None:
    """Each stage has the platform's own word for its state, its sentence, and when its step began."""
    status = status_of(PLACE, _waiting())
    current = status.current
    assert (current.step, current.said, current.message) == ("wait", "PROVISIONING", "Pulling the image.")
    assert current.began == AT + timedelta(seconds=5)
    assert status.said == "PROVISIONING"
    assert status.stages[1].said == "VALIDATE_OVER"


def test_a_failure_is_where_it_happened() -> None:
    """The stage that failed says so with the error's sentence; the stop of what bills changes nothing."""
    failed = step_failed("tok", "delivery", "wait", DeploymentFailed("No capacity."), AT, AT)
    stop = [step_started("tok", "delivery", "stop", "", AT), step_done("tok", "delivery", "stop", "", AT, AT)]
    status = status_of(replace(PLACE, state=PlacementState.FAILED), [*_waiting(), failed, *stop])
    assert _states(status)[2:] == ["deployment failed", "routed ahead", "proved ahead"]
    assert (status.word, status.current.message) == ("failed", "No capacity.")


def test_only_the_latest_delivery_counts() -> None:
    """A new delivery begins with its check: what an earlier one came to is not its status."""
    failed = step_failed("tok", "delivery", "wait", DeploymentFailed("No capacity."), AT, AT)
    status = status_of(PLACE, [*_waiting(), failed, *_done("check", "register")])
    assert _states(status) == [
        "files running",
        *(f"{name} ahead" for name in ("revision", "deployment", "routed", "proved")),
    ]


def test_a_retiring_is_no_delivery() -> None:
    """Steps of the same names that remove things do not open stages again."""
    retired = [replace(event, source="retire") for event in _done("endpoint", "model")]
    ready = replace(PLACE, state=PlacementState.READY)
    events = [*_done(*BEFORE, "wait", "route", "prove", "ready"), *retired]
    assert {stage.state for stage in status_of(ready, events).stages} == {StageState.DONE}
    assert status_of(ready, events).word == "proved"


def test_an_empty_journal_is_a_delivery_that_has_not_begun() -> None:
    """Without events every stage is ahead, and the first is the present one."""
    status = status_of(PLACE, [])
    assert {stage.state for stage in status.stages} == {StageState.AHEAD}
    assert (status.current.name, status.said) == ("files", None)


def _told(level: str, message: str) -> Event:
    data = {"id": message, "kind": "condition.set", "level": level, "at": "2026-11-23T12:00:01Z"}
    return step_note("tok", "delivery", "wait", "platform", message, AT, data)


def test_reasons_are_what_the_platform_warned_of() -> None:
    """Warnings and errors of the platform explain; what is merely told is left out beside them."""
    events = [
        *_waiting(),
        _told("info", "Scheduling."),
        _told("warn", "No H100 is free."),
        _told("info", "Waiting."),
    ]
    (reason,) = status_of(PLACE, events).reasons
    assert (reason.level, reason.message, reason.at) == ("warn", "No H100 is free.", "2026-11-23T12:00:01Z")
    assert status_of(PLACE, events).current.message == "Pulling the image."


def test_without_warnings_the_newest_words_explain() -> None:
    """A platform that warns of nothing is heard with its newest five sentences."""
    events = [*_waiting(), *(_told("info", f"Step {number}.") for number in range(9))]
    assert [reason.message for reason in status_of(PLACE, events).reasons] == [
        f"Step {n}." for n in range(4, 9)
    ]


def test_together_s_names_are_in_one_flat_piece() -> None:
    """Other systems read the ids, the stage and the platform's word under names that do not change."""
    told = together_of(PLACE, status_of(PLACE, _waiting()))
    assert told == {
        "together_model_id": "ml_1",
        "together_model_name": None,
        "together_job_id": None,
        "together_revision_id": "rv_1",
        "together_endpoint_id": "ep_1",
        "together_endpoint_name": "me/tok",
        "together_status": "deployment",
        "together_said": "PROVISIONING",
        "deployment_id": "dep_1",
        "attachment_id": None,
        "container_id": None,
        "rehearsal": False,
    }
    assert together_of(replace(PLACE, route="local"), status_of(PLACE, [])) is None


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        *(("local", kind) for kind in ("image-lora", "text-lora", "checkpoint")),
        ("together-attached", "text-lora"),
        ("together-merged", "checkpoint"),
        ("together-url", "image-lora"),
        ("together-container", "image-lora"),
        ("together-v1", "text-lora"),
    ],
)
def test_every_step_of_every_route_has_its_stage(route: str, kind: str) -> None:
    """The table and the plans agree: each step is in a stage of its route, in order, and none is empty."""
    steps = [step.name for step in plan_of(route, kind).ship]
    stages = [STAGE_OF[step] for step in steps]
    assert stages == sorted(stages, key=STAGES.index)
    assert set(stages) == set(stages_of(route, fetched=True))


def test_only_what_is_fetched_has_a_job() -> None:
    """A route that can do both has the stage `job` only when the platform fetches the files."""
    fetched = replace(PLACE, options=ShipOptions(remote="hub"))
    assert [stage.name for stage in status_of(fetched, []).stages] == list(STAGES)
    assert "job" not in [stage.name for stage in status_of(PLACE, []).stages]


def test_it_is_json() -> None:
    """The whole status is plain values."""
    told = status_of(PLACE, [*_waiting(), _told("warn", "No H100 is free.")]).as_dict()
    assert told["stages"][2]["began"] == "2026-11-23T12:00:05+00:00"
    assert told["stages"][2]["state"] == "running"
    assert told["reasons"][0]["kind"] == "condition.set"
    assert all(state.sentence.endswith(".") for state in StageState)
