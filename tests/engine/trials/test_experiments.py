"""A/B and shadow experiments by the official client: who answers, and who only listens."""

from __future__ import annotations

from typing import Any

import pytest
from together import BadRequestError, ConflictError

from tests.engine.trials.conftest import Pair

CONTROL, VARIANT = "AB_EXPERIMENT_MEMBER_ROLE_CONTROL", "AB_EXPERIMENT_MEMBER_ROLE_VARIANT"


def halves(pair: Pair, percent: int = 50) -> list[Any]:
    """Share the control's traffic with the other deployment."""
    return [
        {"deployment_id": pair.one, "percent": 100 - percent, "role": CONTROL},
        {"deployment_id": pair.two, "percent": percent, "role": VARIANT},
    ]


def test_an_ab_experiment_shares_the_control_s_traffic(pair: Pair) -> None:
    """Both members answer, each user goes to the same one, and at its end the control has all of it."""
    experiments = pair.client.endpoints.ab_experiments
    made = experiments.create(pair.endpoint, name="colour", members=halves(pair))
    rows = pair.client.endpoints.retrieve(pair.endpoint).deployments
    assert {row.id: row.estimated_effective_traffic_share for row in rows} == {pair.one: 0.5, pair.two: 0.5}
    pair.ask(40)
    one, two = pair.answered(pair.one), pair.answered(pair.two)
    assert (one + two, one > 5, two > 5) == (40, True, True)
    pair.ask(40)
    assert (pair.answered(pair.one), pair.answered(pair.two)) == (2 * one, 2 * two)
    changed = experiments.update(
        made.id, endpoint_id=pair.endpoint, members=halves(pair, 0), update_mask="members"
    )
    assert changed.etag != made.etag
    pair.ask(10)
    assert pair.answered(pair.two) == 2 * two
    experiments.delete(made.id, endpoint_id=pair.endpoint)
    assert list(experiments.list(pair.endpoint)) == []


def test_members_that_can_t_be_are_refused_with_all_that_is_wrong(pair: Pair) -> None:
    """The number of controls, the sum and strangers are told at once."""
    wrong: list[Any] = [
        {"deployment_id": pair.one, "percent": 50, "role": VARIANT},
        {"deployment_id": "dep_none", "percent": 20, "role": VARIANT},
    ]
    with pytest.raises(BadRequestError) as caught:
        pair.client.endpoints.ab_experiments.create(pair.endpoint, name="colour", members=wrong)
    said = str(caught.value)
    assert all(word in said for word in ("0 are the control", "add up to 100", "no deployment dep_none"))


def test_a_member_is_not_deleted_and_not_rolled_out(pair: Pair) -> None:
    """What takes part in an experiment stays until that is over."""
    pair.client.endpoints.ab_experiments.create(pair.endpoint, name="colour", members=halves(pair))
    pair.client.endpoints.deployments.update(
        pair.two,
        endpoint_id=pair.endpoint,
        autoscaling={"min_replicas": 0, "max_replicas": 0},
        update_mask="autoscaling",
    )
    with pytest.raises(BadRequestError, match="takes part"):
        pair.client.endpoints.deployments.delete(pair.two, endpoint_id=pair.endpoint)


def shadowed(pair: Pair, rate: float) -> Any:
    """Have the other deployment listen to a part of the requests."""
    return pair.client.endpoints.shadow_experiments.create(
        pair.endpoint,
        name="listen",
        source={"endpoint": {"sampling": {"uniform": {"rate": rate}}}},
        targets=[{"name": "two", "target_deployment_id": pair.two}],
    )


def test_a_shadow_gets_copies_and_answers_nobody(pair: Pair) -> None:
    """The primary answers every request; the shadow has answered as many in the end."""
    made = shadowed(pair, 1.0)
    assert made.state == "SHADOW_EXPERIMENT_STATE_ACTIVE"
    listening = pair.client.endpoints.deployments.retrieve(pair.two, endpoint_id=pair.endpoint)
    assert listening.traffic_mode == "TRAFFIC_MODE_SHADOW"
    asked = 0
    while pair.answered(pair.two) < 3 and asked < 200:
        pair.ask(1, start=asked)
        asked += 1
    assert pair.answered(pair.one) == asked
    assert pair.answered(pair.two) >= 3


def test_a_shadow_without_a_rate_gets_nothing(pair: Pair) -> None:
    """At rate 0 no request is copied."""
    shadowed(pair, 0.0)
    pair.ask(5)
    assert pair.answered(pair.two) == 0


def test_targets_come_and_go(pair: Pair) -> None:
    """Targets are added, changed with an etag and dropped; without any the experiment is inactive."""
    shadows = pair.client.endpoints.shadow_experiments
    made = shadowed(pair, 1.0)
    (target,) = made.targets
    at = {"endpoint_id": pair.endpoint, "experiment_id": made.id}
    third = shadows.targets.create(**at, name="three", target_deployment_id=pair.deploy("three"))
    assert [row.name for row in shadows.targets.list(**at)] == ["two", "three"]
    renamed = shadows.targets.update(third.id, **at, name="drei", update_mask="name", etag=third.etag)
    assert renamed.name == "drei"
    with pytest.raises(ConflictError):
        shadows.targets.update(third.id, **at, name="tre", update_mask="name", etag=third.etag)
    for key in (target.id, third.id):
        shadows.targets.delete(key, **at)
    assert shadows.retrieve(made.id, endpoint_id=pair.endpoint).state == "SHADOW_EXPERIMENT_STATE_INACTIVE"
    shadows.delete(made.id, endpoint_id=pair.endpoint)


def test_who_answers_can_t_be_a_shadow(pair: Pair) -> None:
    """A deployment with traffic is refused as a target, and nothing is made."""
    shadows = pair.client.endpoints.shadow_experiments
    with pytest.raises(BadRequestError, match="answers real requests"):
        shadows.create(
            pair.endpoint,
            name="listen",
            source={"endpoint": {"sampling": {"uniform": {"rate": 1.0}}}},
            targets=[{"name": "one", "target_deployment_id": pair.one}],
        )
    assert list(shadows.list(pair.endpoint)) == []
