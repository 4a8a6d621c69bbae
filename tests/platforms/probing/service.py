"""A service for the probe, by the dossier alone: a catalogue, prices, and an account with much to hide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

KEY = "tgp_v1_the-key-of-the-probe"
PROJECT = "proj_CbX12345secret"

#: Every text here is the account's own, and may be in no fixture.
ACCOUNT: Json = {
    "whoami": {
        "type": "project_api_key",
        "api_key": {"id": "key_AbCdEf123456", "name": "laptop of ann"},
        "organization": {"id": "org_Zz998877xx", "name": "Ann's Garage"},
        "project": {"id": PROJECT, "name": "Secret Project", "slug": "ann-secret"},
        "user": {"id": "user_Qq112233", "email": "ann@garage.example"},
        "created_at": "2026-07-01T10:11:12Z",
    },
    "models": [
        {
            "id": "ml_Own00112233",
            "name": "ann-secret/support-bot",
            "projectId": PROJECT,
            "organizationId": "org_Zz998877xx",
            "visibility": "VISIBILITY_PRIVATE",
            "sizeBytes": "123456",
            "description": "trained on our tickets",
            "baseModel": "projects/proj_public/models/ml_Base1",
        }
    ],
    "endpoints": [
        {"id": "ep_Own445566", "name": "ann-secret/bot-prod", "etag": "etag-77aa", "projectId": PROJECT}
    ],
    "placement-profiles": [
        {"id": "pp_Own1234567", "name": "only-frankfurt", "preferredRegions": ["eu-garage-1"]}
    ],
    "imports": [
        {"id": "job_Own12121212", "remoteUrl": "https://bucket.s3.example/x.zip?X-Amz-Signature=5f5f"}
    ],
    "revisions": [
        {
            "revisionId": "rv_Own0987654",
            "validationStatus": "REVISION_VALIDATION_STATUS_FAILED",
            "validationErrors": [
                {"rule": "safetensors_only", "severity": "ERROR", "message": "garage-weights.bin is refused"}
            ],
        }
    ],
}

_PROFILE = {
    "profileId": "cfg_a",
    "config": "projects/proj_public/configs/cr_One",
    "model": "projects/proj_public/models/ml_Base1/revisions/rv_1",
    "gpuType": "H100",
    "gpuCount": 1,
    "adapterMode": "ADAPTER_MODE_DYNAMIC",
}


def _catalogue() -> list[Json]:
    row = {
        "id": "arch_1",
        "name": "qwen/text-9b",
        "baseModel": "projects/proj_public/models/ml_Base1",
        "baseModelId": "ml_Base1",
        "capabilities": ["CAPABILITY_CHAT"],
        "products": ["PRODUCT_DEDICATED"],
        "deploymentProfiles": [_PROFILE],
    }
    bare = {**row, "id": "arch_2", "name": "qwen/text-bare", "deploymentProfiles": [], "novelty": 1}
    return [row, bare]


@dataclass
class Service:
    """The service's answers; tests change them.

    Attributes:
        seen: Method, path and authorization of each request.
        lists: What it has for everybody, by path.
        refused: Paths that it refuses, with status and body.
    """

    seen: list[tuple[str, str, str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    lists: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, tuple[int, Json]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill it."""
        own = f"/v2/projects/{PROJECT}"
        catalogue = _catalogue()
        self.lists |= {
            "/v3/whoami": ACCOUNT["whoami"],
            "/v1/whoami": ACCOUNT["whoami"],
            "/v2/supported-models": _page(catalogue),
            "/v2/supported-models/arch_1": catalogue[0],
            "/v2/public/inference-instance-types": _page(
                [
                    {
                        "id": "it_1",
                        "name": "1xnvidia-h100-80gb",
                        "gpuType": "H100",
                        "gpuCount": 1,
                        "priceCentsPerHour": 600,
                        "regions": [{"name": "us-1", "headroom": {"value": 3, "relation": "RELATION_GTE"}}],
                    }
                ]
            ),
            "/v1/models": [
                {"id": "black-forest-labs/FLUX.2-dev", "type": "image", "pricing": {"base": 0.0154}}
            ],
            "/v1/hardware": _page(
                [{"id": "1x_nvidia_h100_80gb_sxm", "pricing": {"cents_per_minute": 9}}], cursor=False
            ),
            "/v1/endpoints": _page([], cursor=False),
            f"{own}/models": _page(ACCOUNT["models"]),
            f"{own}/endpoints": _page(ACCOUNT["endpoints"]),
            f"{own}/placement-profiles": _page(ACCOUNT["placement-profiles"]),
            f"{own}/models/uploads": _page(ACCOUNT["imports"]),
            f"{own}/models/ml_Own00112233/revisions": _page(ACCOUNT["revisions"]),
            f"{own}/configs": _page([{"id": "cr_One", "projectId": "proj_public"}]),
        }
        message = f"project {PROJECT} of org_Zz998877xx has no containers; ask for dep_Unknown123"
        self.refused["/v1/deployments"] = (403, {"error": {"message": message, "type": None, "code": None}})

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        while (await receive()).get("more_body"):
            pass
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["method"], scope["path"], headers.get("authorization", "")))
        self.hosts.add(headers["host"])
        status, body = self._answer(scope["path"], headers)
        more = [(b"x-ratelimit-limit", b"600"), (b"x-secret-trace", b"account-trace-0099")]
        raw = [(b"content-type", b"application/json"), *more]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    def _answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, {"error": {"message": "Invalid API key", "type": None, "code": "invalid_api_key"}}
        if path in self.refused:
            return self.refused[path]
        if path in self.lists:
            return 200, self.lists[path]
        return 404, {"code": 5, "message": f"nothing at {path}", "details": []}


def _page(rows: list[Json], *, cursor: bool = True) -> Json:
    return {"object": "list", "data": rows, **({"next_cursor": None} if cursor else {})}


def private_texts(value: Any = ACCOUNT) -> set[str]:
    """List every text of the account that is no word of the API."""
    if isinstance(value, dict):
        return {text for key, each in value.items() if key not in _API_WORDS for text in private_texts(each)}
    if isinstance(value, list):
        return {text for each in value for text in private_texts(each)}
    return {value} if isinstance(value, str) and value != "123456" else set()


_API_WORDS = ("type", "visibility", "validationStatus", "rule", "severity", "baseModel")
