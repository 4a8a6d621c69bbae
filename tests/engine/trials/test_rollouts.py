"""Rollouts by the official client: what moves, what stops it, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
from together import BadRequestError, ConflictError

from tests.engine.trials.conftest import Pair


def begun(pair: Pair, **strategy: Any) -> Any:
    """Create a rollout from `one` to `two`, and start it."""
    rollouts = pair.client.endpoints.rollouts
    made = rollouts.create(
        pair.endpoint, source_deployment_id=pair.one, target_deployment_id=pair.two, **strategy
    )
    assert made.state == "ROLLOUT_STATE_PENDING"
    assert pair.split() == {pair.one: 1.0}
    return rollouts.start(made.id, endpoint_id=pair.endpoint)


def looked(pair: Pair, rollout: str) -> Any:
    """Look at a rollout."""
    return pair.client.endpoints.rollouts.retrieve(rollout, endpoint_id=pair.endpoint)


def share(pair: Pair) -> int:
    """Give the target's percentage of the traffic."""
    split = pair.split()
    return round(100 * split.get(pair.two, 0) / sum(split.values()))


def test_a_canary_walks_its_ladder_and_ends_with_all_traffic_on_the_target(pair: Pair) -> None:
    """5, 25, 50 and 100 percent, then the source is stopped; each look is at most one step."""
    made = begun(pair, canary={})
    seen = [share(pair)]
    while (made := looked(pair, made.id)).state == "ROLLOUT_STATE_RUNNING":
        seen.append(share(pair))
    assert seen == [5, 25, 50, 100]
    assert made.state == "ROLLOUT_STATE_COMPLETED"
    assert [step.state for step in made.status.steps] == ["ROLLOUT_STEP_STATE_PASSED"] * 4
    assert (set(pair.split()), pair.state(pair.one), pair.state(pair.two)) == ({pair.two}, "STOPPED", "READY")


def test_a_blue_green_rollout_is_one_cut(pair: Pair) -> None:
    """All traffic goes over at once; the source keeps the replicas that were asked for."""
    made = begun(pair, blue_green={}, final_source_replicas=1)
    assert share(pair) == 100
    assert looked(pair, made.id).state == "ROLLOUT_STATE_COMPLETED"
    assert pair.state(pair.one) == "READY"


def test_a_rolling_rollout_goes_in_batches(pair: Pair) -> None:
    """Its target's share only grows, and ends at all."""
    made = begun(pair, rolling={})
    seen = [share(pair)]
    while looked(pair, made.id).state == "ROLLOUT_STATE_RUNNING":
        seen.append(share(pair))
    assert seen == sorted(set(seen))
    assert seen[-1] == 100


def test_a_paused_rollout_stays_and_goes_on(pair: Pair) -> None:
    """Nothing moves while it is paused; resumed, it ends as ever."""
    rollouts = pair.client.endpoints.rollouts
    made = begun(pair, canary={})
    paused = rollouts.pause(made.id, endpoint_id=pair.endpoint, reason="lunch")
    assert (paused.state, paused.pause_info and paused.pause_info.reason) == ("ROLLOUT_STATE_PAUSED", "lunch")
    before = pair.split()
    assert looked(pair, made.id).state == "ROLLOUT_STATE_PAUSED"
    assert pair.split() == before
    rollouts.resume(made.id, endpoint_id=pair.endpoint)
    while looked(pair, made.id).state == "ROLLOUT_STATE_RUNNING":
        pass
    assert share(pair) == 100


def test_promoting_skips_the_steps_that_are_left(pair: Pair) -> None:
    """All traffic goes over at once, and the steps between are told as skipped."""
    made = begun(pair, canary={})
    done = pair.client.endpoints.rollouts.promote(made.id, endpoint_id=pair.endpoint)
    assert done.state == "ROLLOUT_STATE_COMPLETED"
    states = [step.state for step in done.status.steps]
    assert states == [*["ROLLOUT_STEP_STATE_SKIPPED"] * 3, "ROLLOUT_STEP_STATE_PASSED"]
    assert share(pair) == 100


def test_a_canceled_rollout_leaves_the_traffic_as_it_is(pair: Pair) -> None:
    """Freezing is the only way to cancel; reverting is refused with what to do instead."""
    rollouts = pair.client.endpoints.rollouts
    made = begun(pair, canary={})
    with pytest.raises(BadRequestError, match="roll out back"):
        rollouts.cancel(
            made.id, endpoint_id=pair.endpoint, reason="no", disposition="CANCEL_DISPOSITION_REVERT"
        )
    before = pair.split()
    assert rollouts.cancel(made.id, endpoint_id=pair.endpoint, reason="no").state == "ROLLOUT_STATE_CANCELED"
    assert pair.split() == before
    rollouts.delete(made.id, endpoint_id=pair.endpoint)
    assert list(rollouts.list(pair.endpoint)) == []


def test_a_gate_without_requests_pauses_the_rollout(pair: Pair) -> None:
    """What could not be measured does not pass: the system pauses, and says which metric it was."""
    rule = {
        "name": "router_error_rate",
        "thresholdCheck": {"operator": "THRESHOLD_OPERATOR_LTE", "value": 0.1},
    }
    made = begun(pair, canary={}, metrics=[rule])
    stopped = looked(pair, made.id)
    assert stopped.state == "ROLLOUT_STATE_SYSTEM_PAUSED"
    assert stopped.status.condition.category == "ROLLOUT_FAILURE_CATEGORY_METRICS_UNAVAILABLE"
    assert stopped.status.condition.metrics[0].verdict == "METRIC_VERDICT_UNAVAILABLE"


def test_a_gate_that_is_met_lets_the_rollout_go_on(pair: Pair) -> None:
    """With requests that the target answered well the next step begins."""
    rule = {
        "name": "router_error_rate",
        "thresholdCheck": {"operator": "THRESHOLD_OPERATOR_LTE", "value": 0.1},
    }
    made = begun(pair, canary={"steps": [{"traffic": 50}, {"traffic": 100}]}, metrics=[rule])
    pair.ask(20)
    assert pair.answered(pair.two) > 0
    seen = looked(pair, made.id)
    assert (seen.state, seen.current_step) == ("ROLLOUT_STATE_RUNNING", 1)
    assert seen.status.steps[0].metrics[0].verdict == "METRIC_VERDICT_PASS"


def test_what_can_t_start_is_foretold_and_refused(pair: Pair) -> None:
    """A deployment with an inactive timeout takes no part; the preview says so before."""
    idle = pair.deploy("idle", inactive_timeout=30)
    rollouts = pair.client.endpoints.rollouts
    told = rollouts.preview_defaults(pair.endpoint, source_deployment_id=pair.one, target_deployment_id=idle)
    assert [row.code for row in told.warnings] == ["START_WILL_REJECT"]
    made = rollouts.create(pair.endpoint, source_deployment_id=pair.one, target_deployment_id=idle)
    with pytest.raises(BadRequestError, match="inactive timeout"):
        rollouts.start(made.id, endpoint_id=pair.endpoint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"canary": {"steps": [{"traffic": 50}, {"traffic": 20}]}},
        {"canary": {"steps": [{"traffic": 50}]}},
        {"canary": {}, "blue_green": {}},
        {"blue_green": {}, "metrics": [{"name": "router_latency", "thresholdCheck": {"operator": "x"}}]},
        {"canary": {}, "metrics": [{"name": "mood"}]},
    ],
)
def test_a_rollout_that_can_t_be_meant_is_refused(pair: Pair, wrong: dict[str, Any]) -> None:
    """Ladders that fall, several strategies and unknown metrics are refused when it is created."""
    with pytest.raises(BadRequestError):
        pair.client.endpoints.rollouts.create(
            pair.endpoint, source_deployment_id=pair.one, target_deployment_id=pair.two, **wrong
        )


def test_a_rollout_holds_the_endpoint(pair: Pair) -> None:
    """While it is under way its endpoint names it, its split can't be written, and no second one starts."""
    made = begun(pair, canary={})
    endpoint = pair.client.endpoints.retrieve(pair.endpoint)
    assert endpoint.active_rollout_id == made.id
    with pytest.raises(BadRequestError, match="rollout"):
        pair.client.endpoints.update(
            pair.endpoint,
            traffic_split=[{"deployment_id": pair.one, "weight": 1}],
            update_mask="trafficSplit",
        )
    second = pair.client.endpoints.rollouts.create(
        pair.endpoint, source_deployment_id=pair.one, target_deployment_id=pair.two
    )
    with pytest.raises(BadRequestError, match="not over"):
        pair.client.endpoints.rollouts.start(second.id, endpoint_id=pair.endpoint)
    with pytest.raises(ConflictError, match="etag"):
        pair.client.endpoints.rollouts.pause(made.id, endpoint_id=pair.endpoint, etag="another")
