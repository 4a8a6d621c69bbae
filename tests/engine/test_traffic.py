"""Where an endpoint's requests go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.api_errors import Refusal
from lorry.engine.together.autoscaling import parse_autoscaling, parse_duration
from lorry.engine.together.traffic import choose, parse_split, shares

SPLITS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 100), max_size=6)


def as_split(weights: dict[str, float]) -> list[dict[str, Any]]:
    return [{"deploymentId": key, "weight": weight} for key, weight in weights.items()]


@given(weights=SPLITS, ready=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)))
def test_shares_are_weights_times_ready_replicas(weights: dict[str, float], ready: dict[str, int]) -> None:
    """Shares sum to one or to nothing, and nothing goes to a deployment without weight or replica."""
    found = shares(as_split(weights), ready)
    total = sum(found.values())
    assert total == pytest.approx(1) or total == 0
    for key, share in found.items():
        assert share == 0 or (weights[key] > 0 and ready.get(key, 0) > 0)


@given(weights=SPLITS, sticky=st.text())
def test_the_choice_is_sticky_and_only_among_the_live(weights: dict[str, float], sticky: str) -> None:
    """The same request goes to the same deployment, and to one with a share; to none when there is none."""
    found = shares(as_split(weights), dict.fromkeys(weights, 1))
    chosen = choose(found, sticky)
    assert chosen == choose(found, sticky)
    assert (chosen is None) == (not any(found.values()))
    assert chosen is None or found[chosen] > 0


def test_many_requests_spread_as_the_weights_say() -> None:
    """Over many different requests each deployment gets about its share."""
    found = shares(as_split({"a": 3, "b": 1}), {"a": 1, "b": 1})
    chosen = [choose(found, f"prompt {number}") for number in range(2000)]
    assert 0.70 < chosen.count("a") / 2000 < 0.80


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ([{"deploymentId": "z", "weight": 1}], "no deployment z"),
        (as_split({"a": 1}) + as_split({"a": 2}), "twice"),
        ([{"deploymentId": "a", "weight": -1}], "0 or more"),
        ([{"deploymentId": "a", "weight": float("inf")}], "0 or more"),
        ([{"deploymentId": "a", "weight": "1"}], "no number"),
        ([{"deploymentId": "a"}], "no number"),
        ([{"deploymentId": "a", "weight": True}], "no number"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(split: list[dict[str, Any]], problem: str) -> None:
    """Every malformed entry is a 400 that says what is wrong with it."""
    with pytest.raises(Refusal, match=problem):
        parse_split(split, ["a", "b"])


@pytest.mark.parametrize(
    ("given_", "present", "bounds"),
    [
        ({}, None, (1, 1)),
        ({"minReplicas": 1}, None, (1, 1)),
        ({"minReplicas": 0}, None, (0, 0)),
        ({"maxReplicas": 0}, None, (0, 0)),
        ({"minReplicas": 1, "maxReplicas": 3}, None, (1, 3)),
        ({"minReplicas": 0, "maxReplicas": 0}, {"minReplicas": 1, "maxReplicas": 1}, (0, 0)),
        ({"scaleDownWindow": "60s"}, {"minReplicas": 1, "maxReplicas": 2}, (1, 2)),
    ],
)
def test_replica_bounds_fill_each_other_in(
    given_: dict[str, Any], present: dict[str, Any] | None, bounds: tuple[int, int]
) -> None:
    """The maximum follows the minimum, and what an update does not name stays (dossier 2.7)."""
    found = parse_autoscaling(given_, present)
    assert (found["minReplicas"], found["maxReplicas"]) == bounds


@pytest.mark.parametrize(
    "given_",
    [
        {"minReplicas": 2, "maxReplicas": 1},
        {"minReplicas": 0, "maxReplicas": 1},
        {"minReplicas": -1},
        {"minReplicas": "1"},
        {"minReplicas": True},
        {"minReplicas": 2},
        {"scaleToZeroWindow": "soon"},
    ],
)
def test_replica_bounds_that_make_no_sense_are_refused(given_: dict[str, Any]) -> None:
    """Bounds that contradict themselves, or that one machine can't keep, are a 400."""
    with pytest.raises(Refusal):
        parse_autoscaling(given_)


@given(number=st.integers(0, 10_000), unit=st.sampled_from(["s", "m", "h", ""]))
def test_durations_are_read_in_protobufs_form(number: int, unit: str) -> None:
    """`600s`, `5m`, `1h` and a bare number of seconds."""
    factor = {"s": 1, "m": 60, "h": 3600, "": 1}[unit]
    assert parse_duration(f"{number}{unit}").total_seconds() == number * factor
