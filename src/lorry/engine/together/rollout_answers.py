"""How rollouts look outside (types/endpoints/rollout.py of the official client)."""

from __future__ import annotations

from typing import Any

from lorry.engine.together.records import DeploymentRecord, EndpointRecord
from lorry.engine.together.trial_records import RolloutRecord

_STRATEGIES = {"canary": "CANARY", "blueGreen": "BLUE_GREEN", "rolling": "ROLLING"}


def answer(record: RolloutRecord) -> dict[str, Any]:
    """Write a rollout as the API does."""
    row: dict[str, Any] = {
        "id": record.id,
        "endpointId": record.endpoint_id,
        "sourceDeploymentId": record.source,
        "targetDeploymentId": record.target,
        "strategy": f"ROLLOUT_STRATEGY_TYPE_{_STRATEGIES[record.strategy]}",
        "state": f"ROLLOUT_STATE_{record.phase.upper()}",
        "status": _status(record),
        "etag": record.etag,
        "createdAt": record.created_at,
    }
    if record.step >= 0:
        row |= {
            "currentStep": record.step,
            "currentTrafficPercent": record.steps[record.step]["traffic"],
            "startedAt": record.started_at,
        }
    if record.paused_at:
        row["pauseInfo"] = {"pausedAt": record.paused_at, "reason": record.reason}
    if record.completed_at:
        row["completedAt"] = record.completed_at
    return row


def _status(record: RolloutRecord) -> dict[str, Any]:
    status: dict[str, Any] = {
        "totalSteps": len(record.steps),
        "steps": [_step(number, step) for number, step in enumerate(record.steps)],
        "updatedAt": record.updated_at,
    }
    if record.condition:
        status["condition"] = record.condition
    return status


def _step(number: int, step: dict[str, Any]) -> dict[str, Any]:
    row = {
        "stepIndex": number,
        "targetTrafficPercent": step["traffic"],
        "state": f"ROLLOUT_STEP_STATE_{step.get('state', 'PENDING')}",
    }
    return row | {
        name: step[name]
        for name in ("startedAt", "completedAt", "failureReason", "metrics")
        if step.get(name)
    }


def preview(
    spec: dict[str, Any],
    steps: list[dict[str, Any]],
    source: DeploymentRecord,
    target: DeploymentRecord,
    owner: EndpointRecord,
    obstacle: str | None,
) -> dict[str, Any]:
    """Write what a rollout would be with its defaults filled in.

    Args:
        spec: What was asked for.
        steps: The steps that it would walk.
        source: The deployment that traffic would leave.
        target: The deployment that it would go to.
        owner: Their endpoint.
        obstacle: Why it could not start, if so.
    """
    final = spec.get("finalTargetReplicas", max(1, source.serving))
    live = {entry["deploymentId"]: entry["weight"] for entry in owner.traffic if entry["weight"]}
    row: dict[str, Any] = {
        "spec": {
            **spec,
            "finalSourceReplicas": spec.get("finalSourceReplicas", 0),
            "finalTargetReplicas": final,
        },
        "sourceReplicas": source.serving,
        "targetReplicas": target.serving,
        "targetMinReplicas": int(target.autoscaling["minReplicas"]),
        "targetMaxReplicas": int(target.autoscaling["maxReplicas"]),
        "landingMinReplicas": final,
        "landingMaxReplicas": max(final, int(target.autoscaling["maxReplicas"])),
        "frozenPair": source.id in live and target.id in live,
        "warnings": [{"code": "START_WILL_REJECT", "message": obstacle}] if obstacle else [],
    }
    if not (spec.get("canary") or {}).get("steps"):
        row["estimatedEffectiveSteps"] = [{"traffic": step["traffic"]} for step in steps]
    return row
