"""What people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lorry.cli.printing import (
    error_lines,
    event_line,
    model_lines,
    pairs,
    proof_lines,
    shipped_lines,
    size,
)
from lorry.cli.reports import report_lines
from lorry.cli.standing import status_lines
from lorry.errors import ModelNotFound, ProofNoEffect, WeightsRejected
from lorry.journal import Estimate, Reason, Stage, StageState, Status
from lorry.model.events import Event
from lorry.model.placement import (
    Placement,
    PlacementState,
    Proof,
    ProviderIds,
    ShippedModel,
    TrainedModel,
)
from lorry.model.report import Finding, RankSpan, Severity, WeightsReport, WeightsSummary

AT = datetime(2026, 11, 23, 12, 30, 5, tzinfo=UTC)
SUMMARY = WeightsSummary(
    path="tok",
    file="tok/pytorch_lora_weights.safetensors",
    size_bytes=1_432_440,
    digest="ab" * 32,
    format="safetensors",
    layout="diffusers",
    algorithm="lora",
    family="flux-icons-64",
    base="lorry/flux-icons-64",
    rank=RankSpan(16, 16, 16),
    alpha=16.0,
    modules=54,
    tensors=108,
    parameters=712_704,
    dtype="bf16",
    trigger="TOK",
)
CUT = Finding(
    "DATA_TRUNCATED", Severity.ERROR, "85 of 172 MB are missing.", "Copy it again.", "tok.safetensors"
)
LEAK = Finding("PRIVACY_META", Severity.WARNING, "The header names a folder.", "Strip it.")
PROOF = Proof("TOK", 7, 1.0, 31.25, 0.0, 1.0, True, "/p/without.png", "/p/with.png")
MODEL = TrainedModel("tok", "/m/tok", "ab" * 32, "flux-icons-64", "lorry/flux-icons-64", "TOK", 54, AT)


def _placement(state: PlacementState, error: dict[str, object] | None = None) -> Placement:
    ids = ProviderIds(
        model="ml_1", endpoint="ep_1", endpoint_name="local/lorry-tok", hub_repo="local/lorry-tok"
    )
    return Placement("tok", "local", state, "prove", ids, PROOF, error, AT)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1_500, "2 kB"), (1_432_440, "1.4 MB")]
)
def test_sizes_are_said_in_a_person_s_units(count: int, said: str) -> None:
    """A size is written with the unit that keeps it short."""
    assert size(count) == said


def test_pairs_line_up_and_leave_out_what_is_unknown() -> None:
    """Values begin in one column; a row without a value is not shown."""
    assert pairs([("a", "1"), ("long", "2"), ("none", None)]) == ["  a     1", "  long  2"]


def test_a_clean_report_says_what_the_file_is() -> None:
    """Format, base, rank, alpha, modules, dtype and trigger word are all there."""
    text = "\n".join(report_lines(WeightsReport(SUMMARY)))
    for part in ("safetensors, diffusers, lora", "lorry/flux-icons-64", "16", "54", "bf16", "TOK", "1.4 MB"):
        assert part in text
    assert text.endswith("No problems found.")


def test_a_report_shows_every_finding_with_code_place_and_fix() -> None:
    """No finding is held back, and each comes with its code, its place and its fix."""
    text = "\n".join(report_lines(WeightsReport(SUMMARY, (CUT, LEAK))))
    for part in ("DATA_TRUNCATED", CUT.message, "at: tok.safetensors", "fix: Copy it again.", "PRIVACY_META"):
        assert part in text
    assert text.endswith("Not fit to ship: 1 error, 1 warning.")


def test_an_error_ends_with_the_next_command() -> None:
    """The last line of an error is what to do next."""
    lines = error_lines(ModelNotFound("No model 'x' is known here."))
    assert lines[0] == "error [model_not_found]: No model 'x' is known here."
    assert lines[-1].startswith("next: Run `lorry models`")


def test_rejected_weights_list_all_findings() -> None:
    """An error that carries findings shows them all, not only the first."""
    text = "\n".join(error_lines(WeightsRejected(WeightsReport(SUMMARY, (CUT, LEAK)))))
    assert CUT.message in text
    assert LEAK.message in text


def test_the_table_of_models_has_one_line_each() -> None:
    """One header, one line a model; a model without placement is new."""
    lines = model_lines([ShippedModel(MODEL, _placement(PlacementState.READY)), ShippedModel(MODEL, None)])
    assert len(lines) == 3
    assert "ready" in lines[1]
    assert "31.2" in lines[1]
    assert "new" in lines[2]


def test_an_empty_table_says_how_to_begin() -> None:
    """Without models the user learns the next command."""
    assert "lorry ship" in model_lines([])[0]


def test_show_has_the_state_in_words_and_the_provider_s_names() -> None:
    """A model's page says its state in a sentence, what the platform calls it, and its proof."""
    text = "\n".join(shipped_lines(ShippedModel(MODEL, _placement(PlacementState.READY))))
    for part in ("It answers", "local/lorry-tok (ep_1)", "differs by 31.2", "/p/with.png"):
        assert part in text


def test_show_tells_the_stages_of_a_delivery_with_the_platform_s_reasons() -> None:
    """Each stage is a line with the platform's word, the running one with its estimate; reasons follow."""
    begun = AT - timedelta(seconds=30)
    stages = (
        Stage("files", StageState.DONE, "upload", None, "2 files."),
        Stage("deployment", StageState.RUNNING, "wait", "PROVISIONING", "Pulling the image.", begun),
        Stage("proved"),
    )
    reasons = (Reason("2026-11-23T12:30:01Z", "warn", "condition.set", "No H100 is free."),)
    lines = status_lines(Status(stages, reasons), {"wait": Estimate(60.0, 180.0, 8)}, AT)
    assert lines == [
        "  files       done     2 files.",
        "  deployment  running  PROVISIONING  Pulling the image.  (usually 60 s, so about 30 s more)",
        "  proved      ahead",
        "",
        "the platform says",
        "  2026-11-23T12:30:01Z  warn   No H100 is free.",
    ]
    shown = shipped_lines(ShippedModel(MODEL, _placement(PlacementState.DELIVERING)), lines)
    assert shown.index(lines[0]) < shown.index(
        "The adapter acts: with it the picture differs by 31.2 of 255 levels on average,"
    )


def test_show_ends_with_the_last_error() -> None:
    """A failed model's page ends with its error and the next step."""
    error = ProofNoEffect("The adapter changes nothing.").as_dict()
    lines = shipped_lines(ShippedModel(MODEL, _placement(PlacementState.FAILED, error)))
    assert lines[-2] == "error [proof_no_effect]: The adapter changes nothing."
    assert lines[-1].startswith("next: ")


def test_a_proof_says_all_three_numbers() -> None:
    """A proof shows the difference, the noise and the threshold, so that a reader can judge it."""
    text = "\n".join(proof_lines(PROOF))
    assert "31.2" in text
    assert "0.0" in text
    assert "1.0" in text


def test_an_event_is_one_line_in_order_of_time_source_step() -> None:
    """An entry of the journal fits on one line and begins with its time."""
    line = event_line(Event("tok", "delivery", "upload", "done", "2 files", AT, 1.5))
    assert line.startswith("2026-11-23 12:30:05  delivery")
    assert "1.50 s" in line
    assert "\n" not in line
