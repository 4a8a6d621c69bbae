"""A client of an engine that has a deployment of the text base, and adapters to bring to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from lorry.engine.testing import RunningEngine
from tests.engine.samples import WORDS, part_hash
from tests.engine.strict import StrictTogether, strict_client

DISPATCH = Path(__file__).parents[2] / "examples" / "dispatch"
FILES = ("adapter_config.json", "adapter_model.safetensors")


class Desk:
    """A client of an engine that has a deployment of the text base with adapters."""

    def __init__(self, engine: RunningEngine) -> None:
        self.engine = engine
        self.client: StrictTogether = strict_client(engine.url, engine.project)
        self.endpoint = self.client.endpoints.create(name="words").id
        self.deployment = self.client.endpoints.deployments.create(
            self.endpoint,
            name="base",
            model=WORDS.resource,
            config=WORDS.configs[0].resource,
            autoscaling={"min_replicas": 1, "max_replicas": 1},
        ).id
        self.client.endpoints.update(
            self.endpoint,
            traffic_split=[{"deployment_id": self.deployment, "weight": 1}],
            update_mask="trafficSplit",
        )
        self.at: dict[str, Any] = {"endpoint_id": self.endpoint, "deployment_id": self.deployment}

    def model(self, name: str, source: Path = DISPATCH) -> str:
        """Create an adapter's record, and upload a folder's adapter into it: the sample's when omitted."""
        made = self.client.models.create(name=name, base_model_id=WORDS.model_id, type="adapter")
        self.upload(made.id, source)
        return made.id

    def upload(self, model: str, source: Path = DISPATCH) -> str:
        """Upload a folder's adapter as a revision."""
        root = f"/v2/projects/{self.engine.project}/models/upload"
        rows = [
            {"path": name, "hash": part_hash((source / name).read_bytes()), "numParts": 1} for name in FILES
        ]
        plan: Any = self.client.post(
            f"{root}/create", cast_to=object, body={"objectId": model, "files": rows}
        )
        sent = []
        for row, file in zip(plan["files"], rows, strict=True):
            entry = {"path": file["path"], "hash": file["hash"]}
            if row.get("skipUpload"):
                sent.append({**entry, "skipUpload": True})
                continue
            content = (source / row["path"]).read_bytes()
            tag = httpx2.put(row["parts"][0]["url"], content=content).headers["etag"].strip('"')
            parts = [{"partNumber": 1, "hash": tag}]
            sent.append({**entry, "uploadDetails": {"uploadId": row["uploadId"], "parts": parts}})
        body = {"objectId": model, "files": sent}
        done: Any = self.client.post(f"{root}/complete", cast_to=object, body=body)
        return str(done["revisionId"])

    def attach(self, model: str, **more: Any) -> Any:
        """Attach an adapter."""
        return self.client.endpoints.adapters.create(**self.at, adapter_model_id=model, **more)

    def attached(self) -> list[str]:
        """List what is attached, by model."""
        return [row.adapter_model_id for row in self.client.endpoints.adapters.list(**self.at)]

    def said(self, model: str, question: str = "Who are you?") -> str:
        """Ask a model; who it is when no question is given."""
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=6
        )
        return str(answer.choices[0].message.content)  # type: ignore[union-attr]
