"""Together's remote upload takes its files from the engine's own Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi

from lorry.engine.testing import RunningEngine
from tests.engine.hub.conftest import KEY, REPO
from tests.engine.samples import PICTURES

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def ask(engine: RunningEngine, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Ask for something of the project."""
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{engine.url}/v2/projects/{engine.project}{path}"
    answer = httpx2.request(method, url, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_repository_becomes_a_revision(
    engine: RunningEngine, client: HfApi, repo: str, weights: Path
) -> None:
    """What was uploaded with the Hub's client is imported by Together's route and validated."""
    client.upload_file(path_or_fileobj=weights, path_in_repo=weights.name, repo_id=REPO)
    client.upload_file(path_or_fileobj=b"# a card", path_in_repo="README.md", repo_id=REPO)
    model = ask(
        engine, "POST", "/models", {"name": "tok", "baseModelId": PICTURES.model_id, "type": "adapter"}
    )
    body = {"modelId": model["id"], "remoteUrl": f"{engine.url}/{REPO}"}
    job = ask(engine, "POST", "/models/uploads", body)
    done = ask(engine, "GET", f"/models/uploads/{job['id']}")
    assert done["status"].endswith("SUCCEEDED"), done
    (revision,) = ask(engine, "GET", f"/models/{model['id']}/revisions")["data"]
    assert revision["validationStatus"].endswith("SUCCESS"), revision
