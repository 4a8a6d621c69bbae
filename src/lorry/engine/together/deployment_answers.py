"""How a deployment looks outside, whole and inside its endpoint (Together API dossier 2.6 and 2.7)."""

from __future__ import annotations

from typing import Any

from lorry.engine.together.bases import InstanceType
from lorry.engine.together.identity import PROJECT_ID, PROJECT_SLUG, PUBLIC_PROJECT_ID
from lorry.engine.together.lifecycle import STATES
from lorry.engine.together.records import DeploymentRecord, EndpointRecord


def state_of(record: DeploymentRecord) -> str:
    """Name a deployment's state as the API does."""
    return STATES[record.phase][0]


def full_name(record: DeploymentRecord, endpoint: EndpointRecord) -> str:
    """Give the name under which requests reach this deployment alone."""
    return f"{PROJECT_SLUG}/{endpoint.name}/{record.name}"


def answer(
    record: DeploymentRecord, endpoint: EndpointRecord, share: float, hardware: InstanceType
) -> dict[str, Any]:
    """Write a deployment as the API does.

    Args:
        record: The deployment.
        endpoint: Its endpoint.
        share: Its share of the endpoint's traffic.
        hardware: What its replicas run on.
    """
    ready, desired = record.serving, _desired(record)
    place = {"region": hardware.region, "readyReplicas": ready, "scheduledReplicas": ready}
    region = [place] if ready else []
    row: dict[str, Any] = {
        **summary(record, endpoint, share, hardware),
        "endpointId": endpoint.id,
        "projectId": PROJECT_ID,
        "config": f"projects/{PUBLIC_PROJECT_ID}/configs/{record.config_id}",
        "configId": record.config_id,
        "modelRevisionId": record.revision_id,
        "etag": record.etag,
        "inactiveTimeout": record.inactive_timeout,
        "runtimeInfo": {"engineType": "lorry"},
        "status": {
            "state": state_of(record),
            "message": record.message,
            "readyReplicas": ready,
            "scheduledReplicas": desired,
            "details": {"region": region},
        },
        "updatedAt": record.updated_at,
    }
    del row["state"], row["readyReplicas"]
    if record.max_concurrent is not None:
        row["maxConcurrentRequestsPerReplica"] = record.max_concurrent
    if record.placement is not None:
        row["placement"] = record.placement
    return row


def summary(
    record: DeploymentRecord, endpoint: EndpointRecord, share: float, hardware: InstanceType
) -> dict[str, Any]:
    """Write a deployment as it appears inside its endpoint; the arguments are those of `answer`."""
    model = f"projects/{record.model_project}/models/{record.model_id}/revisions/{record.revision_id}"
    return {
        "id": record.id,
        "name": full_name(record, endpoint),
        "model": model,
        "modelId": record.model_id,
        "state": state_of(record),
        "autoscaling": record.autoscaling,
        "desiredReplicas": _desired(record),
        "readyReplicas": record.serving,
        "estimatedEffectiveTrafficShare": share,
        "trafficMode": "TRAFFIC_MODE_LIVE",
        "hardware": hardware.name,
        "createdAt": record.created_at,
    }


def _desired(record: DeploymentRecord) -> int:
    return 0 if record.phase == "failed" else int(record.autoscaling["minReplicas"])
