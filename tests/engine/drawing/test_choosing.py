"""Who is drawn for next: in turn, alike, as many as fit, and never overtaken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.drawing.choosing import Waiting, fill, in_turn

lines = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2)), max_size=60)
turns = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9))
MOST = 8


def _waiting(line: list[tuple[str, int]]) -> list[Waiting]:
    return [Waiting(number, whose, shape) for number, (whose, shape) in enumerate(line)]


def _few(found: object) -> bool:
    return len(found) <= MOST  # type: ignore[arg-type]


@given(lines, turns)
def test_the_order_has_everything_in_turn(line: list[tuple[str, int]], served: dict[str, int]) -> None:
    """Nothing is lost; within a model nobody is overtaken; who waited longest is first; all take turns."""
    order = in_turn(_waiting(line), served)
    assert sorted(each.place for each in order) == list(range(len(line)))  # type: ignore[type-var]
    for whose in "abcd":
        places = [each.place for each in order if each.whose == whose]
        assert places == sorted(places)  # type: ignore[type-var]
    for count in range(len(order)):
        counts = {whose: sum(each.whose == whose for each in order[:count]) for whose in "abcd"}
        left = {each.whose for each in order[count:]}
        assert all(counts[other] <= counts[whose] + 1 for whose in left for other in "abcd")
    if order:
        assert all(served.get(order[0].whose, -1) <= served.get(each.whose, -1) for each in order)


@given(lines, turns, st.sampled_from([None, 1, 2]))
def test_a_batch_is_alike_and_begins_with_whoever_is_first(
    line: list[tuple[str, int]], served: dict[str, int], beside: int | None
) -> None:
    """One shape, as many as fit, none left out that would: and nothing joins before whose turn it is."""
    order = in_turn(_waiting(line), served)
    found = fill(order, _few, [beside] if beside else [])
    shape = beside or (order[0].shape if order else None)
    assert all(each.shape == shape for each in found)
    if order and order[0].shape != shape:
        assert found == []
    else:
        assert found == [each for each in order if each.shape == shape][:MOST]


@given(lines.filter(bool))
def test_what_fits_nowhere_is_begun_alone(line: list[tuple[str, int]]) -> None:
    """A picture too large beside anything is begun when nothing is being drawn, and not before."""
    order = in_turn(_waiting(line), {})
    assert fill(order, lambda _: False) == order[:1]
    assert fill(order, lambda _: False, [order[0].shape]) == []


@given(st.integers(1, 40), st.integers(1, 5))
def test_nobody_waits_longer_than_a_round(busy: int, models: int) -> None:
    """However much one model asks for, each other one is in the very next batch."""
    waiting = [Waiting(("busy", number), "busy", 8) for number in range(busy)]
    waiting += [Waiting((f"m{number}", 0), f"m{number}", 8) for number in range(models)]
    found = {each.whose for each in fill(in_turn(waiting, {"busy": 100}), _few)}
    assert {f"m{number}" for number in range(models)} <= found
