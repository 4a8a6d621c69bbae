"""What a model's journal is told of its requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lorry.generation.gateway.sampling import EVERY, Samples
from lorry.model.event_kinds import undeclared
from lorry.model.kept import Came, LedgerRow

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def row(
    outcome: Came = Came.OK, code: str | None = None, model: str = "tok", place: str | None = None
) -> LedgerRow:
    """Give an attempt."""
    return LedgerRow(
        "req_1-1", "req_1", NOW, None, None, model, place, "local", False, "images", outcome, code,
        milliseconds=1500.0,
    )  # fmt: skip


def test_each_outcome_is_told_once_an_hour_and_none_is_lost() -> None:
    """The first at once, the next with those that came meanwhile; each model and error by itself."""
    samples = Samples(lambda _: True)
    samples.add([row(), row(Came.FAILED, "no_capacity"), row(model="ann"), row(model="ann", place="bob")])
    first = samples.worth_telling(NOW)
    assert [(event.model, event.action) for event in first] == [
        ("ann", "sample"),
        ("bob", "sample"),
        ("tok", "failed"),
        ("tok", "sample"),
    ]
    assert [undeclared(event) for event in first] == [None] * 4
    samples.add([row()] * 40)
    assert samples.worth_telling(NOW + timedelta(minutes=1)) == []
    samples.add([row(Came.FAILED, "answer_lost")])
    assert len(samples.worth_telling(NOW + timedelta(minutes=1))) == 1
    samples.add([row()] * 2)
    [again] = samples.worth_telling(NOW + EVERY)
    assert again.data["count"] == 42
    assert again.message == "42 requests went well, 1.50 s on average; req_1 is one."
    assert samples.worth_telling(NOW + 3 * EVERY) == []


def test_what_has_not_ended_and_what_nobody_shipped_is_not_told() -> None:
    """A request that bills is in the ledger before it is sent; a request may name any model."""
    samples = Samples({"tok"}.__contains__)
    samples.add([row(Came.SENT), row(Came.REFUSED, "model_not_found", model="<script>")])
    assert samples.worth_telling(NOW) == []
