"""A tier of memory against a list that does the same slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.drawing.tiers import Tier

keys = st.sampled_from("abcdef")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(1, 5)),
        st.tuples(st.just("find"), keys, st.just(0)),
        st.tuples(st.just("drop"), keys, st.just(0)),
    )
)


@given(steps, st.integers(0, 12), st.frozensets(keys))
def test_the_least_recently_used_leave_and_what_stays_stays(
    told: list[tuple[str, str, int]], room: int, stays: frozenset[str]
) -> None:
    """Whatever was put, found and dropped: sizes add up, and the oldest that may go do, no more."""
    tier: Tier[int] = Tier(room)
    model: list[tuple[str, int]] = []
    for verb, key, size in told:
        known = [each for each in model if each[0] == key]
        model = [each for each in model if each[0] != key]
        if verb == "put":
            tier.put(key, size, size)
            model.append((key, size))
        elif verb == "find":
            assert tier.find(key) == (known[0][1] if known else None)
            model += known
        else:
            assert tier.drop(key) == bool(known)
    assert tier.keys() == [key for key, _ in model]
    assert (len(tier), tier.used) == (len(model), sum(size for _, size in model))
    going = tier.excess(lambda key: key in stays)
    may = [key for key, _ in model if key not in stays]
    assert going == may[: len(going)]
    left = tier.used - sum(tier.size(key) for key in going)
    assert left <= room or going == may
    if going:
        assert left + tier.size(going[-1]) > room
