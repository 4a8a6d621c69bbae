"""How an attached adapter looks outside (Together API dossier 2.8)."""

from __future__ import annotations

from typing import Any

from lorry.engine.together.identity import PROJECT_ID
from lorry.engine.together.records import AttachmentRecord, DeploymentRecord

#: The engine is one cluster.
_CLUSTER = "this-machine"


def answer(record: AttachmentRecord, owner: DeploymentRecord) -> dict[str, Any]:
    """Write an attachment as the API does.

    Args:
        record: The attachment.
        owner: Its deployment.
    """
    model = f"projects/{PROJECT_ID}/models/{record.model_id}"
    return {
        "id": record.id,
        "adapterModel": model,
        "adapterModelId": record.model_id,
        "desiredRevision": f"{model}/revisions/{record.revision_id}",
        "desiredRevisionId": record.revision_id,
        "etag": record.etag,
        "perCluster": [_cluster(record, owner, model)],
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }


def _cluster(record: AttachmentRecord, owner: DeploymentRecord, model: str) -> dict[str, Any]:
    ready = record.phase == "ready"
    failed = record.phase == "failed"
    row: dict[str, Any] = {
        "adapterModelId": record.model_id,
        "adapterModel": model,
        "clusterId": _CLUSTER,
        "state": f"ADAPTER_LOAD_STATE_{record.phase.upper()}",
        "totalPodCount": owner.serving,
        "readyPodCount": owner.serving if ready else 0,
        "failedPodCount": owner.serving if failed else 0,
        "updatedAt": record.updated_at,
    }
    if ready:
        row |= {"realizedEtag": record.etag, "adapterValid": True}
    if failed:
        row |= {"adapterValid": False, "adapterValidReason": record.message}
    if record.phase == "pending" and not owner.serving:
        row |= {"reason": "deployment_not_ready", "message": f"The deployment {owner.name} does not run yet."}
    if record.realized_id:
        row |= {
            "realizedRevision": f"{model}/revisions/{record.realized_id}",
            "realizedRevisionId": record.realized_id,
        }
    if record.loaded_at:
        row["loadedAt"] = record.loaded_at
    if record.reason:
        row |= {"reason": record.reason, "message": record.message}
    return row
