"""How the catalog's things look outside (Together API dossier 2.5)."""

from __future__ import annotations

from typing import Any

from lorry.engine.together.bases import Base, Catalog, InstanceType, ServingConfig
from lorry.engine.together.identity import (
    ORGANIZATION_ID,
    PROJECT_ID,
    PUBLIC_ORGANIZATION_ID,
    PUBLIC_PROJECT_ID,
)

Row = dict[str, Any]

#: What a client makes of a limit that is not there: more than it will ask for.
_PLENTY = 1

_CAPABILITY = {"image": "CAPABILITY_IMAGE_GENERATION", "chat": "CAPABILITY_CHAT"}
_MODALITY = {"image": "MODALITY_IMAGE", "chat": "MODALITY_TEXT"}


def base_model(base: Base) -> Row:
    """Write a base model's record, in the project that owns it."""
    return {
        "id": base.model_id,
        "name": base.name,
        "organizationId": PUBLIC_ORGANIZATION_ID,
        "projectId": PUBLIC_PROJECT_ID,
        "visibility": "VISIBILITY_INTERNAL",
        "weights": _weights(base),
        "baseModel": "",
        "baseModelId": "",
        "description": base.description,
    }


def supported_model(base: Base, catalog: Catalog) -> Row:
    """Write a base model's entry in the catalog, with a profile for each certified configuration."""
    certified = [config for config in catalog.offered(base) if config.certified]
    since = f"{base.since}T00:00:00Z"
    return {
        "id": base.supported_id,
        "name": base.name,
        "displayName": base.display_name,
        "displayType": base.kind,
        "publisher": base.name.partition("/")[0],
        "baseModel": base.resource,
        "baseModelId": base.model_id,
        **_weights(base),
        "capabilities": [_CAPABILITY[base.kind]],
        "inputModalities": ["MODALITY_TEXT"],
        "outputModalities": [_MODALITY[base.kind]],
        "products": ["PRODUCT_DEDICATED", "PRODUCT_SERVERLESS"],
        "status": "SUPPORTED_MODEL_STATUS_RECOMMENDED",
        "serverlessEndpoint": base.name,
        "pricing": {"input": 0.0, "output": 0.0, "cachedInput": 0.0},
        "description": base.description,
        "tags": list(base.tags),
        "createdAt": since,
        "updatedAt": since,
        "deploymentProfiles": [_profile(base, config, catalog.type_of(config)) for config in certified],
    }


def config(base: Base, config: ServingConfig) -> Row:
    """Write a configuration."""
    count, _, accelerator = config.hardware.partition("x")
    decision = "CERTIFIED" if config.certified else "UNCERTIFIED"
    return {
        "id": config.id,
        "projectId": PUBLIC_PROJECT_ID,
        "referenceModel": base.resource,
        "referenceModelId": base.model_id,
        "selectors": [
            {"key": "accelerator_type", "value": accelerator},
            {"key": "accelerator_count", "value": count},
            {"key": "optimization", "value": config.optimization},
            {"key": "topology", "value": "aggregated"},
            {"key": "adapter_mode", "value": config.adapters},
        ],
        "certifications": [
            {
                "certificationType": f"CERTIFICATION_TYPE_{decision}",
                "certifiedAt": f"{base.since}T00:00:00Z",
                "certifiedBy": "lorry",
                "model": base.resource,
                "modelRevisionId": base.revision_id,
                "target": f"CERTIFICATION_TARGET_{target}",
            }
            for target in ("DE_SERVERLESS", "MRE")
        ],
    }


def instance_type(kind: InstanceType, free: int | None) -> Row:
    """Write hardware with its price.

    Args:
        kind: The hardware.
        free: Replicas that still fit; `None` for no limit.
    """
    headroom = (
        {"value": _PLENTY, "relation": "RELATION_GTE"}
        if free is None
        else {"value": free, "relation": "RELATION_EQ"}
    )
    return {
        "id": kind.id,
        "name": kind.name,
        "description": kind.says,
        "gpuType": kind.gpu_type,
        "gpuCount": kind.count,
        "gpuMemoryGib": kind.memory_gib,
        "priceCentsPerHour": kind.cents_per_hour,
        "regions": [{"name": kind.region, "headroom": headroom, "compliance": []}],
    }


def placement_profile(region: str) -> Row:
    """Write the one place there is."""
    return {
        "id": "pp_this_machine",
        "name": "this-machine",
        "organizationId": ORGANIZATION_ID,
        "projectId": PROJECT_ID,
        "preferredRegions": [region],
    }


def _weights(base: Base) -> Row:
    length = {"contextLength": str(base.context_length)} if base.context_length else {}
    return {"architecture": base.architecture, **length}


def _profile(base: Base, config: ServingConfig, kind: InstanceType) -> Row:
    return {
        "profileId": config.id.replace("cr_", "prof_", 1),
        "config": config.resource,
        "model": base.resource,
        "modelName": base.name,
        "gpuType": kind.gpu_type,
        "gpuCount": kind.count,
        "parallelism": f"TP{kind.count}" if kind.count > 1 else "",
        "quantization": config.quantization,
        "adapterMode": f"ADAPTER_MODE_{config.adapters.upper()}",
        "certifiedConfigRevisionId": config.id,
        "certifiedModelRevisionId": base.revision_id,
        "performanceBenchmarks": {},
    }
