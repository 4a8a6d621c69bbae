"""How containers and their revisions are written (types/beta/deployment*.py of the official client)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lorry.engine.containers.records import ContainerRecord, ContainerRevision, RevisionEvent
from lorry.engine.containers.states import STATUS

#: Set by the platform in every container; the official CLI finds the replicas of its own deploy by it.
REVISION_VARIABLE = "TOGETHER_DEPLOYMENT_REVISION_ID"

#: When a secret ends, by its name or id; `None` for never.
Expiry = Callable[[str], str | None]


def container_answer(record: ContainerRecord, expiry: Expiry) -> dict[str, Any]:
    """Write a container as the API does.

    Args:
        record: The container.
        expiry: Says when a secret ends.
    """
    answer = {
        **_spec(record.spec, record.revision_id, expiry),
        "object": "deployment",
        "id": record.id,
        "name": record.name,
        "status": STATUS[record.phase],
        "desired_replicas": 0 if record.phase == "asleep" else 1,
        "ready_replicas": int(record.phase == "ready"),
        "replica_events": _replicas(record),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
    if answer["autoscaling"] is None:
        del answer["autoscaling"]
    return answer


def revision_answer(revision: ContainerRevision, expiry: Expiry) -> dict[str, Any]:
    """Write one revision as the API does.

    Args:
        revision: The revision.
        expiry: Says when a secret ends.
    """
    spec = _spec(revision.spec, revision.id, expiry)
    for name in ("name", "description", "model_mounts"):
        spec.pop(name, None)
    return {
        **spec,
        "object": "revision",
        "revision_id": revision.id,
        "created_at": revision.created_at,
        "protocol": "http",
    }


def event_answer(event: RevisionEvent, revision: ContainerRevision) -> dict[str, Any]:
    """Write one entry of a container's history as the API does.

    Args:
        event: The entry.
        revision: The revision that became active.
    """
    return {
        "object": "revision_event",
        "action": event.action,
        "activated_at": event.activated_at,
        "event_number": event.number,
        "image": revision.spec["image"],
        "revision_id": revision.id,
        "revision_number": revision.number,
    }


def replica_of(record: ContainerRecord) -> str:
    """Name the one replica of a container."""
    return f"{record.name}-{record.revision_id[-8:]}-0"


def _spec(spec: Mapping[str, Any], revision: str, expiry: Expiry) -> dict[str, Any]:
    rows = [_variable(row, expiry) for row in spec["environment_variables"]]
    return {
        **spec,
        "environment_variables": [*rows, {"name": REVISION_VARIABLE, "value": revision}],
        "volumes": [_without_none(row) for row in spec["volumes"]],
        "model_mounts": [_without_none(row) for row in spec["model_mounts"]],
    }


def _variable(row: Mapping[str, Any], expiry: Expiry) -> dict[str, Any]:
    secret = row["value_from_secret"]
    ends = expiry(secret) if secret is not None else None
    return _without_none({**row, "value_from_secret_expires_at": ends})


def _without_none(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _replicas(record: ContainerRecord) -> dict[str, Any]:
    if record.phase == "asleep":
        return {}
    event: dict[str, Any] = {
        "image": record.spec["image"],
        "revision_id": record.revision_id,
        "replica_status": "Running" if record.phase == "ready" else "Waiting",
        "replica_status_reason": record.reason,
        "replica_status_message": record.message,
        "replica_ready_since": record.ready_at if record.phase == "ready" else None,
    }
    if record.spec["volumes"] or record.spec["model_mounts"]:
        loading = record.phase in ("updating", "scaling")
        event |= {
            "volume_preload_status": "InProgress" if loading else "Completed",
            "volume_preload_started_at": record.since,
            "volume_preload_completed_at": None if loading else record.since,
        }
    return {replica_of(record): _without_none(event)}
