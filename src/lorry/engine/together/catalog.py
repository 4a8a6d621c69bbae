"""What can be served here: the base model, its configuration and the hardware (Together API dossier 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from lorry.engine.api_errors import not_found
from lorry.engine.config import EngineConfig
from lorry.engine.paging import DEFAULT_LIMIT, Limit
from lorry.engine.together.identity import (
    ORGANIZATION_ID,
    PROJECT_ID,
    PUBLIC_PROJECT_ID,
    key_check,
    project_check,
)

BASE_NAME = "lorry/flux-icons-64"
BASE_MODEL_ID = "ml_flux_icons_64"
BASE_REVISION_ID = "rv_flux_icons_64"
BASE_RESOURCE = f"projects/{PUBLIC_PROJECT_ID}/models/{BASE_MODEL_ID}"
CONFIG_ID = "cr_flux_icons_64"
CONFIG_RESOURCE = f"projects/{PUBLIC_PROJECT_ID}/configs/{CONFIG_ID}"
HARDWARE = "1xlocal-cpu"
REGION = "this-machine"
ARCHITECTURE = "FluxTransformer2DModel"

#: When the entry came into the catalog: the date of the first release.
_SINCE = "2026-11-23T00:00:00Z"

BASE_MODEL: dict[str, Any] = {
    "id": BASE_MODEL_ID,
    "name": BASE_NAME,
    "organizationId": "org_lorry",
    "projectId": PUBLIC_PROJECT_ID,
    "visibility": "VISIBILITY_INTERNAL",
    "weights": {"architecture": ARCHITECTURE, "type": "WEIGHTS_TYPE_DEFAULT"},
    "baseModel": "",
    "baseModelId": "",
    "description": "The small FLUX-architecture base model that ships with Lorry: icons at 64x64 pixels.",
}

CONFIG: dict[str, Any] = {
    "id": CONFIG_ID,
    "projectId": PUBLIC_PROJECT_ID,
    "referenceModel": BASE_RESOURCE,
    "referenceModelId": BASE_MODEL_ID,
    "selectors": [
        {"key": "accelerator_type", "value": "local-cpu"},
        {"key": "accelerator_count", "value": "1"},
        {"key": "optimization", "value": "latency"},
        # One adapter per deployment, loaded when it starts: image adapters are not attached live.
        {"key": "adapter_mode", "value": "disabled"},
    ],
    "certifications": [
        {
            "certificationType": "CERTIFICATION_TYPE_CERTIFIED",
            "certifiedAt": _SINCE,
            "certifiedBy": "lorry",
            "model": BASE_RESOURCE,
            "modelRevisionId": BASE_REVISION_ID,
            "target": "CERTIFICATION_TARGET_MRE",
        }
    ],
}

SUPPORTED: dict[str, Any] = {
    "id": "arch_flux_icons_64",
    "name": BASE_NAME,
    "displayName": "Lorry FLUX icons 64",
    "displayType": "image",
    "publisher": "lorry",
    "baseModel": BASE_RESOURCE,
    "baseModelId": BASE_MODEL_ID,
    "architecture": ARCHITECTURE,
    "capabilities": ["CAPABILITY_IMAGE_GENERATION"],
    "inputModalities": ["MODALITY_TEXT"],
    "outputModalities": ["MODALITY_IMAGE"],
    "products": ["PRODUCT_DEDICATED", "PRODUCT_SERVERLESS"],
    "status": "SUPPORTED_MODEL_STATUS_RECOMMENDED",
    "serverlessEndpoint": BASE_NAME,
    "pricing": {"input": 0.0, "output": 0.0, "cachedInput": 0.0},
    "description": BASE_MODEL["description"],
    "tags": ["image", "flux", "icons"],
    "createdAt": _SINCE,
    "updatedAt": _SINCE,
    "deploymentProfiles": [
        {
            "profileId": "prof_flux_icons_64",
            "config": CONFIG_RESOURCE,
            "model": BASE_RESOURCE,
            "modelName": BASE_NAME,
            "gpuType": "local-cpu",
            "gpuCount": 1,
            "parallelism": "",
            "quantization": "fp16",
            "adapterMode": "ADAPTER_MODE_DISABLED",
            "certifiedConfigRevisionId": CONFIG_ID,
            "certifiedModelRevisionId": BASE_REVISION_ID,
            "performanceBenchmarks": {},
        }
    ],
}

INSTANCE_TYPE: dict[str, Any] = {
    "id": "it_local_cpu",
    "name": HARDWARE,
    "description": "The processor of the machine that the engine runs on",
    "gpuType": "local-cpu",
    "gpuCount": 1,
    "gpuMemoryGib": 0,
    "priceCentsPerHour": 0,
    "regions": [{"name": REGION, "headroom": {"value": 1, "relation": "RELATION_GTE"}, "compliance": []}],
}

PLACEMENT_PROFILE: dict[str, Any] = {
    "id": "pp_this_machine",
    "name": "this-machine",
    "organizationId": ORGANIZATION_ID,
    "projectId": PROJECT_ID,
    "preferredRegions": [REGION],
}


def _listed(rows: list[dict[str, Any]], limit: int, after: str | None) -> dict[str, Any]:
    # Each list of the catalog has at most one row, so that whatever comes after a cursor is nothing.
    return {"object": "list", "data": rows[:limit] if after is None else [], "next_cursor": None}


def supported_models(
    search: str | None = None,
    modality: str | None = None,
    product: str | None = None,
    adapter_mode: str | None = None,
) -> list[dict[str, Any]]:
    """Search the catalog.

    Args:
        search: Text in the name, the id or a tag; case does not matter.
        modality: A modality that goes in or comes out, such as `MODALITY_IMAGE`.
        product: A product, such as `PRODUCT_DEDICATED`.
        adapter_mode: Mode of one of its deployment profiles.
    """
    texts = " ".join([BASE_NAME, SUPPORTED["displayName"], BASE_MODEL_ID, *SUPPORTED["tags"]]).lower()
    matches = [
        search is None or search.lower() in texts,
        modality is None or modality in SUPPORTED["inputModalities"] + SUPPORTED["outputModalities"],
        product is None or product in SUPPORTED["products"],
        adapter_mode is None or adapter_mode == SUPPORTED["deploymentProfiles"][0]["adapterMode"],
    ]
    return [SUPPORTED] if all(matches) else []


def router(config: EngineConfig) -> APIRouter:
    """Make the routes of the catalog."""
    routes = APIRouter(dependencies=[Depends(key_check(config))])
    in_project = [Depends(project_check)]
    everywhere: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("/v2/supported-models", _list_supported),
        ("/v2/supported-models/{key}", _get_supported),
        ("/v2/public/inference-instance-types", _list_hardware),
        ("/v2/public/inference-instance-types/{key}", _get_hardware),
    )
    for path, endpoint in everywhere:
        routes.add_api_route(path, endpoint, methods=["GET"], response_model=None)
    for_project: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("/configs", _list_configs),
        ("/configs/{key}", _get_config),
        ("/placement-profiles", _list_profiles),
        ("/placement-profiles/{key}", _get_profile),
    )
    for path, endpoint in for_project:
        routes.add_api_route(
            "/v2/projects/{project}" + path,
            endpoint,
            methods=["GET"],
            response_model=None,
            dependencies=in_project,
        )
    return routes


def _list_supported(
    search: str | None = None,
    modality: str | None = None,
    product: str | None = None,
    adapter_mode: Annotated[str | None, Query(alias="adapterMode")] = None,
    limit: Limit = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    return _listed(supported_models(search, modality, product, adapter_mode), limit, after)


def _get_supported(key: str) -> dict[str, Any]:
    return _one(SUPPORTED, key, "The supported model")


def _list_hardware(limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
    return _listed([INSTANCE_TYPE], limit, after)


def _get_hardware(key: str) -> dict[str, Any]:
    return _one(INSTANCE_TYPE, key, "The instance type")


def _list_configs(
    reference_model: Annotated[str | None, Query(alias="referenceModel")] = None,
    reference_model_id: Annotated[str | None, Query(alias="referenceModelId")] = None,
    limit: Limit = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    wanted = reference_model.split("/revisions/")[0] if reference_model else None
    fits = wanted in (None, BASE_RESOURCE) and reference_model_id in (None, "", BASE_MODEL_ID)
    return _listed([CONFIG] if fits else [], limit, after)


def _get_config(key: str) -> dict[str, Any]:
    return _one(CONFIG, key, "The config")


def _list_profiles(limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> dict[str, Any]:
    return _listed([PLACEMENT_PROFILE], limit, after)


def _get_profile(key: str) -> dict[str, Any]:
    return _one(PLACEMENT_PROFILE, key, "The placement profile")


def _one(row: dict[str, Any], key: str, what: str) -> dict[str, Any]:
    if key not in (row["id"], row.get("name")):
        raise not_found(f"{what} {key}")
    return row
