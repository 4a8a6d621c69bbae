"""Quantiles of times that were sorted into spans."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from lorry.model.tally import SPANS, Hour, joined, quantile

times = st.lists(st.floats(0.1, 500_000), min_size=1, max_size=200)


def spans_of(found: list[float]) -> dict[int, int]:
    """Sort times into spans, as the database does: a span ends below its upper end."""
    spans: dict[int, int] = {}
    for each in found:
        place = bisect_right(SPANS, each)
        spans[place] = spans.get(place, 0) + 1
    return spans


@given(times, st.floats(0.01, 1))
def test_a_quantile_is_in_the_span_of_the_true_one(found: list[float], share: float) -> None:
    """It lies between the ends of the span in which the true one lies."""
    ordered = sorted(found)
    true = ordered[max(0, -(-int(share * len(ordered) * 10**9) // 10**9) - 1)]
    told = quantile(spans_of(found), share)
    assert told is not None
    place = bisect_right(SPANS, true)
    low, high = (SPANS[place - 1] if place else 0), (SPANS[place] if place < len(SPANS) else 2 * SPANS[-1])
    near = (low * 0.99, high * 1.01) if place else (0.0, SPANS[1])
    assert near[0] <= told <= near[1] or abs(share * len(found) - round(share * len(found))) < 1e-6


@given(times, st.floats(0.01, 0.99))
def test_a_larger_share_takes_no_less_time(found: list[float], share: float) -> None:
    """A quantile grows with its share."""
    spans = spans_of(found)
    assert (quantile(spans, share) or 0) <= (quantile(spans, min(1.0, share + 0.01)) or 0)


def test_hours_are_joined() -> None:
    """Requests of several hours are counted together; without any there is no quantile."""
    assert joined([Hour("a", spans={0: 1, 3: 2}), Hour("b", spans={3: 1})]) == {0: 1, 3: 3}
    assert quantile({}, 0.5) is None
