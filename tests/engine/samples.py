"""Adapters and requests that the tests of the engine share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from httpx2 import Response
from safetensors.numpy import save_file
from starlette.testclient import TestClient

from lorry.engine.hub.storage import Storage
from lorry.engine.renderers.base import base_model
from lorry.engine.together.bases import catalog

PROJECT = "/v2/projects/proj_local"
KEY = {"Authorization": "Bearer any"}

PICTURES = catalog().base_of("ml_flux_icons_64")
WORDS = catalog().base_of("ml_smollm2_135m_instruct")


def write_adapter(folder: Path, *, layers: int | None = None, seed: int = 0, rank: int = 4) -> Path:
    """Write an adapter that fits the base model; all its layers unless told otherwise."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, layer in list(base_model().layers.items())[:layers]:
        down = random.standard_normal((rank, layer.inputs)).astype(np.float32)
        up = random.standard_normal((layer.outputs, rank)).astype(np.float32) * 0.02
        tensors[f"transformer.{name}.lora_A.weight"] = down
        tensors[f"transformer.{name}.lora_B.weight"] = up
    path = folder / "pytorch_lora_weights.safetensors"
    save_file(tensors, path)
    return path


def part_hash(data: bytes) -> str:
    """Give the hash of a file in one part."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Api:
    """The engine's routes below one project, asked by an HTTP client."""

    client: TestClient
    hub: Storage

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Response:
        """Send a request below the project."""
        return self.client.request(method, PROJECT + path, json=body, params=query, headers=KEY)

    def done(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Send a request that has to succeed."""
        response = self.ask(method, path, body, **query)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def model(self, name: str = "tok") -> dict[str, Any]:
        """Create an adapter's record."""
        body = {"name": name, "baseModelId": PICTURES.model_id, "type": "adapter"}
        return self.done("POST", "/models", body)

    def open_upload(self, model: str, files: Mapping[str, tuple[str, int]]) -> list[dict[str, Any]]:
        """Open uploads: hash and number of parts by path."""
        rows = [{"path": path, "hash": found, "numParts": parts} for path, (found, parts) in files.items()]
        plan: list[dict[str, Any]] = self.done(
            "POST", "/models/upload/create", {"objectId": model, "files": rows}
        )["files"]
        return plan

    def upload(self, model: str, files: Mapping[str, bytes]) -> str:
        """Upload files in one part each; give the revision's id."""
        plan = self.open_upload(model, {path: (part_hash(data), 1) for path, data in files.items()})
        sent = []
        for row in plan:
            data = files[row["path"]]
            entry: dict[str, Any] = {"path": row["path"], "hash": part_hash(data)}
            if row.get("skipUpload"):
                entry["skipUpload"] = True
            else:
                response = self.client.put(row["parts"][0]["url"], content=data)
                assert response.status_code == 200, response.text
                part = {"partNumber": 1, "hash": response.headers["ETag"].strip('"')}
                entry["uploadDetails"] = {"uploadId": row["uploadId"], "parts": [part]}
            sent.append(entry)
        answer = self.done("POST", "/models/upload/complete", {"objectId": model, "files": sent})
        return str(answer["revisionId"])

    def adapter(self, name: str = "tok", *, weights: Path) -> tuple[dict[str, Any], str]:
        """Create a record and upload an adapter into it; give the record and the revision's id."""
        model = self.model(name)
        return model, self.upload(model["id"], {weights.name: weights.read_bytes()})

    def endpoint(self, name: str = "tok") -> dict[str, Any]:
        """Create an endpoint."""
        return self.done("POST", "/endpoints", {"name": name})

    def deployment(self, endpoint: str, of: str, name: str = "one", **more: Any) -> dict[str, Any]:
        """Deploy the newest revision of a model with one replica."""
        body = deployment_body(of, name) | more
        return self.done("POST", f"/endpoints/{endpoint}/deployments", body)

    def served(self, weights: Path, name: str = "tok") -> tuple[dict[str, Any], dict[str, Any]]:
        """Bring an adapter to a routed endpoint; give the endpoint and the deployment."""
        model, _ = self.adapter(name, weights=weights)
        endpoint = self.endpoint(name)
        deployment = self.deployment(endpoint["id"], model["id"])
        return self.route(endpoint["id"], {deployment["id"]: 1}), deployment

    def route(self, endpoint: str, weights: Mapping[str, float]) -> dict[str, Any]:
        """Set an endpoint's traffic split."""
        split = [{"deploymentId": key, "weight": weight} for key, weight in weights.items()]
        return self.done(
            "PATCH", f"/endpoints/{endpoint}", {"trafficSplit": split}, updateMask="trafficSplit"
        )

    def scale(self, endpoint: str, deployment: str, replicas: int) -> Response:
        """Ask for a number of replicas."""
        return self.ask(
            "PATCH",
            f"/endpoints/{endpoint}/deployments/{deployment}",
            {"autoscaling": {"minReplicas": replicas, "maxReplicas": replicas}},
            updateMask="autoscaling",
        )

    def state(self, endpoint: str, deployment: str) -> str:
        """Look at a deployment's state, without the prefix that all states have."""
        row = self.done("GET", f"/endpoints/{endpoint}/deployments/{deployment}")
        return str(row["status"]["state"]).removeprefix("DEPLOYMENT_STATE_")

    def pictures(self, model: str, prompt: str = "a cat", **more: Any) -> Response:
        """Ask for pictures."""
        body = {"model": model, "prompt": prompt, "seed": 1, "response_format": "base64", **more}
        return self.client.post("/v1/images/generations", json=body, headers=KEY)


def deployment_body(model: str, name: str = "one", replicas: int = 1) -> dict[str, Any]:
    """Write the body that deploys the newest revision of a model."""
    return {
        "name": name,
        "model": f"projects/proj_local/models/{model}",
        "config": PICTURES.configs[0].resource,
        "autoscaling": {"minReplicas": replicas, "maxReplicas": replicas},
    }
