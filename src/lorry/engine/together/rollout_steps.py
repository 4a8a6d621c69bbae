"""A rollout's steps: pure decisions over shares, replicas and metrics (Together API dossier 2.9)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lorry.engine.api_errors import invalid
from lorry.engine.together.records import RequestRecord

STRATEGIES = ("canary", "blueGreen", "rolling")

#: What a canary walks when nothing is said (types/endpoints/canary_config.py).
LADDER = (5, 25, 50, 100)
#: Small batches; their number is the engine's own choice, for Together publishes none.
_BATCHES = (25, 50, 75, 100)

_METRICS = ("router_error_rate", "router_latency", "inflight_requests")


def strategy_of(spec: Mapping[str, Any]) -> str:
    """Say which strategy a request asks for; a canary when it names none.

    Raises:
        Refusal: It names several, or has gates where none are.
    """
    named = [name for name in STRATEGIES if spec.get(name) is not None]
    if len(named) > 1:
        raise invalid(f"A rollout has one strategy; this one names {' and '.join(named)}.", named[1])
    strategy = named[0] if named else "canary"
    if spec.get("metrics") and strategy != "canary":
        raise invalid(f"Metric gates are for canary rollouts; this one is {strategy}.", "metrics")
    for rule in spec.get("metrics") or ():
        _check_rule(rule)
    return strategy


def _check_rule(rule: Mapping[str, Any]) -> None:
    if rule.get("name") not in _METRICS:
        raise invalid(
            f"A gate's metric is one of {', '.join(_METRICS)}, not {rule.get('name')!r}.", "metrics"
        )
    if (rule.get("thresholdCheck") is None) == (rule.get("regressionCheck") is None):
        raise invalid("A gate has either a thresholdCheck or a regressionCheck.", "metrics")


def planned_steps(strategy: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the steps that a rollout walks.

    Args:
        strategy: One of `STRATEGIES`.
        spec: What was asked for.

    Raises:
        Refusal: Steps that do not increase, or do not end at 100 percent.
    """
    given = (spec.get("canary") or {}).get("steps") if strategy == "canary" else None
    if given:
        _check_ladder([step.get("traffic") for step in given])
        return [{"traffic": step["traffic"], "replicas": step.get("replicas")} for step in given]
    ladder = {"canary": LADDER, "blueGreen": (100,), "rolling": _BATCHES}[strategy]
    return [{"traffic": percent, "replicas": None} for percent in ladder]


def _check_ladder(percents: Sequence[Any]) -> None:
    whole = all(isinstance(percent, int) and not isinstance(percent, bool) for percent in percents)
    rising = whole and all(low < high for low, high in zip((0, *percents), percents, strict=False))
    if not rising or percents[-1] != 100:
        raise invalid(
            f"The steps' traffic has to increase and end at 100; it is {list(percents)}.", "canary.steps"
        )


def weights(
    split: Sequence[Mapping[str, Any]], source: str, target: str, percent: int, ready: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Write a traffic split in which the target has its percentage of the pair's traffic.

    Args:
        split: The present split.
        source: The deployment that traffic leaves.
        target: The deployment that it goes to.
        percent: The target's share of the pair's traffic.
        ready: Ready replicas of each deployment; a share is weight times these.
    """
    pair = [row for row in split if row["deploymentId"] in (source, target)]
    capacity = sum(row["weight"] * max(ready.get(row["deploymentId"], 0), 1) for row in pair) or 1.0
    rest = [dict(row) for row in split if row["deploymentId"] not in (source, target)]
    wanted = ((source, 100 - percent), (target, percent))
    moved = [
        {"deploymentId": key, "weight": capacity * share / 100 / max(ready.get(key, 0), 1)}
        for key, share in wanted
        if share
    ]
    return [*rest, *moved]


def gate(
    rule: Mapping[str, Any], source: Sequence[RequestRecord], target: Sequence[RequestRecord]
) -> dict[str, Any]:
    """Hold a rule against what was measured since the step began.

    Args:
        rule: The rule, as it was sent.
        source: Requests that the source answered.
        target: Requests that the target answered.

    Returns:
        The result with its verdict, as the API has it.
    """
    name = rule["name"]
    measured, baseline = _measure(rule, target), _measure(rule, source)
    result: dict[str, Any] = {"name": name, "stat": rule.get("stat") or "METRIC_STAT_TYPE_AVG"}
    if rule.get("percentile") is not None:
        result["percentile"] = rule["percentile"]
    if measured is not None:
        result["targetValue"] = measured
    if check := rule.get("thresholdCheck"):
        result |= {
            "check": "METRIC_CHECK_TYPE_THRESHOLD",
            "operator": check["operator"],
            "threshold": check.get("value", 0.0),
        }
        # The operator says what is good: a value for which it does not hold is a breach.
        fine = None if measured is None else _compare(check["operator"], measured, check.get("value", 0.0))
    else:
        check = rule["regressionCheck"]
        limit = check.get("maxRegressionPercent", 0.0)
        result |= {
            "check": "METRIC_CHECK_TYPE_REGRESSION",
            "direction": check["direction"],
            "maxRegressionPercent": limit,
        }
        if baseline is not None:
            result["sourceValue"] = baseline
        fine = _within(check["direction"], measured, baseline, limit)
    verdict = "UNAVAILABLE" if fine is None else "PASS" if fine else "BREACHED"
    result["verdict"] = f"METRIC_VERDICT_{verdict}"
    if fine is False:
        result["failureReason"] = f"{name} of the target is {measured:g}."
    return result


def _measure(rule: Mapping[str, Any], requests: Sequence[RequestRecord]) -> float | None:
    if rule["name"] == "inflight_requests":
        return 0.0  # what is noted has been answered
    if not requests:
        return None
    if rule["name"] == "router_error_rate":
        return sum(request.status >= 500 for request in requests) / len(requests)
    times = sorted(request.milliseconds for request in requests)
    if rule.get("stat") == "METRIC_STAT_TYPE_PERCENTILE":
        place = math.ceil(int(rule.get("percentile", 50)) / 100 * len(times)) - 1
        return times[min(len(times) - 1, max(place, 0))]
    return sum(times) / len(times)


def _compare(operator: str, value: float, bound: float) -> bool:
    kind = operator.rpartition("_")[2]
    return {"GT": value > bound, "GTE": value >= bound, "LT": value < bound, "LTE": value <= bound}[kind]


def _within(direction: str, target: float | None, source: float | None, limit: float) -> bool | None:
    if target is None or source is None:
        return None
    worse = target - source if direction.endswith("HIGHER_IS_WORSE") else source - target
    return worse <= abs(source) * limit / 100 or worse <= 0
