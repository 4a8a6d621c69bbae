"""An error that was written down comes back as itself."""

from __future__ import annotations

import json

import pytest

from lorry import errors
from lorry.errors import InternalError, LorryError, WeightsRejected, error_from
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LorryError) and kind is not WeightsRejected
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_comes_back_from_json(kind: type[LorryError]) -> None:
    """Class, sentence, fix and evidence survive; so does what the class says about retrying."""
    error = kind("It broke.", fix="Mend it.", evidence={"rank": 3})
    again = error_from(json.loads(json.dumps(error.as_dict())))
    assert type(again) is kind
    assert again.as_dict() == error.as_dict()
    assert str(again) == "It broke."


def test_an_error_built_from_a_report_comes_back_too() -> None:
    """WeightsRejected, which is made of a report, keeps its sentence and findings."""
    finding = Finding("DATA_TRUNCATED", Severity.ERROR, "It ends early.", "Download it again.")
    error = WeightsRejected(WeightsReport(WeightsSummary("a", "a", 1), (finding,)))
    again = error_from(error.as_dict())
    assert type(again) is WeightsRejected
    assert again.as_dict() == error.as_dict()


def test_an_unknown_code_is_a_fault_of_ours() -> None:
    """Data of a newer version is told, not swallowed."""
    again = error_from({"code": "from_the_future", "message": "Something."})
    assert type(again) is InternalError
    assert again.message == "Something."


def test_codes_are_unique() -> None:
    """No two classes share a code, so data always comes back as one class."""
    kinds: list[type[LorryError]] = [*KINDS, WeightsRejected]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
