"""The unmodified official client drives the engine through the whole life of a model."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
from PIL import Image
from together import (
    AsyncTogether,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    Together,
)

from lorry.engine.hub.storage import Storage, stored
from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.strict import strict_client

TOKEN = "write-only"  # noqa: S105  # any text is one here
BASE = "lorry/flux-icons-64"


def client_of(engine: RunningEngine, key: str = "any") -> Together:
    return strict_client(engine.url, engine.project, key)


def upload(client: Together, model: str, folder: Path) -> str:
    """Upload a folder as the official CLI does it (Together API dossier 2.3); the SDK has no verb for it."""
    paths = sorted(path for path in folder.iterdir() if path.stat().st_size and path.name[0] != ".")
    hashes = {path.name: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in paths}
    root = f"/v2/projects/{client.project_id}/models/upload"
    files = [{"path": name, "hash": found, "numParts": 1} for name, found in hashes.items()]
    body = {"objectId": model, "files": files}
    plan = cast("dict[str, Any]", client.post(f"{root}/create", cast_to=object, body=body))
    sent = []
    for row in plan["files"]:
        part = row["parts"][0]
        answer = httpx.put(part["url"], headers=part["headers"], content=(folder / row["path"]).read_bytes())
        tag = answer.raise_for_status().headers["ETag"].strip('"')
        details = {"uploadId": row["uploadId"], "parts": [{"partNumber": 1, "hash": tag}]}
        sent.append({"path": row["path"], "hash": hashes[row["path"]], "uploadDetails": details})
    body = {"objectId": model, "files": sent}
    done = cast("dict[str, Any]", client.post(f"{root}/complete", cast_to=object, body=body))
    return str(done["revisionId"])


def mean(data: str | None) -> float:
    """Give the mean level of a base64 picture."""
    assert data is not None
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).mean())


def test_the_whole_life_of_an_adapter(engine: RunningEngine, folder: Path) -> None:
    """Record, upload, validation, deployment, routing, pictures, stop and removal, by the typed answers."""
    with client_of(engine) as client:
        (base,) = client.models.list_supported(search="flux-icons").data
        model = client.models.create(name="tok", base_model_id=base.base_model_id, type="adapter")
        assert (model.name, model.weights.type) == ("local/tok", "WEIGHTS_TYPE_ADAPTER")
        revision = upload(client, model.id, folder)
        (row,) = client.models.list_revisions(model.id).data or []
        assert (row.revision_id, row.validation_status) == (revision, "REVISION_VALIDATION_STATUS_SUCCESS")
        files = client.models.list_files(model.id)
        assert [file.path for file in files.data] == ["README.md", "pytorch_lora_weights.safetensors"]
        (config,) = client.models.configs.list(reference_model_id=base.base_model_id).data

        endpoint = client.endpoints.create(name="tok")
        deployment = client.endpoints.deployments.create(
            endpoint.id,
            name="one",
            model=f"projects/{engine.project}/models/{model.id}/revisions/{revision}",
            config=f"projects/{config.project_id}/configs/{config.id}",
            autoscaling={"min_replicas": 1, "max_replicas": 1},
        )
        assert deployment.status.state == "DEPLOYMENT_STATE_READY"
        routed = client.endpoints.update(
            endpoint.id,
            traffic_split=[{"deployment_id": deployment.id, "weight": 1}],
            update_mask="trafficSplit",
            etag=endpoint.etag,
        )
        assert routed.deployments[0].estimated_effective_traffic_share == 1

        def draw(target: str, **more: Any) -> float:
            answer = client.images.generate(
                model=target, prompt="a cat", seed=7, response_format="base64", output_format="png", **more
            )
            assert answer.data[0].type == "b64_json"
            return mean(answer.data[0].b64_json)

        off = draw(endpoint.name, image_loras=[{"path": model.name, "scale": 0}])
        assert off == draw(BASE)
        assert off != draw(endpoint.name)

        client.endpoints.update(endpoint.id, traffic_split=[], update_mask="trafficSplit")
        stopped = client.endpoints.deployments.update(
            deployment.id,
            endpoint_id=endpoint.id,
            autoscaling={"min_replicas": 0, "max_replicas": 0},
            update_mask="autoscaling",
        )
        assert stopped.status.state == "DEPLOYMENT_STATE_STOPPED"
        client.endpoints.deployments.delete(deployment.id, endpoint_id=endpoint.id, etag=stopped.etag)
        assert "deployment.deleted" in [event.type for event in client.endpoints.list_events(endpoint.id)]
        client.endpoints.delete(endpoint.id)
        client.models.delete(model.id)
    assert set(engine.counts().values()) == {0}


def test_the_clients_classes_of_errors(engine: RunningEngine, home: Path) -> None:
    """Each refusal arrives as the class that the client has for it, with the sentence in it."""
    with client_of(engine) as client:
        endpoint = client.endpoints.create(name="tok")
        with pytest.raises(ConflictError, match="already exists"):
            client.endpoints.create(name="tok")
        with pytest.raises(ConflictError, match="ABORTED"):
            client.endpoints.delete(endpoint.id, etag="stale")
        with pytest.raises(NotFoundError, match="ml_none does not exist"):
            client.models.retrieve("ml_none")
        with pytest.raises(NotFoundError, match="model_not_available"):
            client.images.generate(model="local/none", prompt="a cat")
        with pytest.raises(BadRequestError, match="endpoint_not_configured"):
            client.images.generate(model="local/tok", prompt="a cat")
    with running_engine(home / "locked", api_key="right") as locked, client_of(locked, "wrong") as client:
        with pytest.raises(AuthenticationError, match="rejected"):
            client.whoami()
        with pytest.raises(AuthenticationError, match="invalid_api_key"):
            client.images.generate(model=BASE, prompt="a cat")


async def test_a_remote_upload_from_the_engines_own_hub(home: Path, folder: Path) -> None:
    """A repository becomes a revision: PENDING, RUNNING, SUCCEEDED, with its events, by the async client."""
    with running_engine(home, pace=Pace.looks(1)) as engine:
        hub = engine.engine.repositories
        assert isinstance(hub, Storage)
        hub.create("local/tok", private=True)
        data = (folder / "pytorch_lora_weights.safetensors").read_bytes()
        blob = engine.engine.works.blobs.put(data)
        hub.advance("local/tok", "weights", "", [stored("w.safetensors", blob.sha256, blob.size)], [], None)
        async with AsyncTogether(
            base_url=engine.url, api_key="any", project_id=engine.project, max_retries=0
        ) as client:
            uploads = client.models.remote_uploads
            model = await client.models.create(name="tok", base_model_id="ml_flux_icons_64", type="adapter")
            job = await uploads.create(model_id=model.id, remote_url=f"{engine.url}/local/tok", token=TOKEN)
            seen = [job.status]
            while seen[-1] not in ("REMOTE_UPLOAD_STATUS_SUCCEEDED", "REMOTE_UPLOAD_STATUS_FAILED"):
                seen.append((await uploads.retrieve(job.id)).status)
                assert len(seen) < 10
            assert [state.rpartition("_")[2] for state in dict.fromkeys(seen)] == [
                "PENDING",
                "RUNNING",
                "SUCCEEDED",
            ]
            events = (await uploads.events(job.id)).data
            assert [event.type for event in events] == [
                "upload.queued",
                "download.started",
                "upload.completed",
            ]
            assert TOKEN not in str(events)
            files = await client.models.list_files(model.id)
            assert [(file.path, file.size_bytes) for file in files.data] == [
                ("w.safetensors", str(len(data)))
            ]


@pytest.mark.parametrize(
    "source",
    ["local/none", "https://huggingface.co/owner/name", "file:///etc/passwd", "http://127.0.0.1:1/a/b", "x"],
)
def test_a_remote_upload_from_elsewhere_fails_with_a_sentence(engine: RunningEngine, source: str) -> None:
    """Nothing outside this engine's Hub is ever read; the job is FAILED and says what can be."""
    with client_of(engine) as client:
        model = client.models.create(name="tok", base_model_id="ml_flux_icons_64", type="adapter")
        job = client.models.remote_uploads.create(model_id=model.id, remote_url=source)
        job = client.models.remote_uploads.retrieve(job.id)  # type: ignore[assignment]
        assert job.status == "REMOTE_UPLOAD_STATUS_FAILED"
        assert "Hub" in (job.status_message or "")
        assert client.models.list_revisions(model.id).data == []
