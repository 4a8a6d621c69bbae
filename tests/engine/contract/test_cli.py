"""The unmodified official CLI drives the engine through the whole life of a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from together import Together

from lorry.engine.testing import RunningEngine


@dataclass(frozen=True)
class Tg:
    """The command `tg`, pointed at an engine (Together API dossier 8.1 and 8.2)."""

    engine: RunningEngine
    user: Path

    def __call__(self, *words: str, status: int = 0) -> str:
        """Run a command; give what it prints."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.user),
            "COLUMNS": "200",
            "TOGETHER_BASE_URL": self.engine.url,
            "TOGETHER_API_KEY": "any",
            "TOGETHER_PROJECT_ID": self.engine.project,
            "TOGETHER_CREDENTIALS_PATH": "/nonexistent",
            "TOGETHER_TELEMETRY_DISABLED": "1",
            "TOGETHER_DISABLE_VERSION_CHECK": "1",
            "CI": "1",
        }
        ran = subprocess.run(
            [Path(sys.executable).with_name("tg"), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    def json(self, *words: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self(*words, "--json"))


@pytest.fixture
def tg(engine: RunningEngine, tmp_path: Path) -> Tg:
    """Give the command, with a home of its own."""
    (tmp_path / "user").mkdir()
    return Tg(engine, tmp_path / "user")


def test_the_whole_life_of_an_adapter(engine: RunningEngine, tg: Tg, folder: Path, tmp_path: Path) -> None:
    """Create, upload, deploy with traffic, draw, scale to zero, delete: every command ends well."""
    create = ("models", "create", "tok", "--base-model", "lorry/flux-icons-64", "--type", "adapter")
    model = tg.json(*create)["id"]
    revision = tg.json("models", "upload", model, str(folder))["revisionId"]
    assert engine.engine.shelves.revisions.get(revision) is not None
    tg("models", "download", model, str(tmp_path / "back"))
    names = ["README.md", "pytorch_lora_weights.safetensors"]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == names
    for name in names:
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()

    deploy = ("endpoints", "deploy", "local/tok", "--endpoint", "tok", "--traffic-weight", "1", "--merge")
    shown = tg(*deploy)
    assert "$0.00/hr" in shown
    assert "Ready" in shown
    endpoint = tg.json("endpoints", "get", "tok")
    (deployment,) = endpoint["deployments"]
    assert (deployment["state"], deployment["readyReplicas"]) == ("DEPLOYMENT_STATE_READY", 1)
    with Together(base_url=engine.url, api_key="any", project_id=engine.project, max_retries=0) as client:
        assert client.images.generate(model=endpoint["name"], prompt="a cat").data[0].type == "url"

    stop = ("endpoints", "update", deployment["id"], "--min-replicas", "0", "--max-replicas", "0")
    assert tg.json(*stop)["status"]["state"] == "DEPLOYMENT_STATE_STOPPED"
    refused = tg("endpoints", "rm", endpoint["id"], status=1)
    assert deployment["id"] in refused
    tg.json("endpoints", "rm", endpoint["id"], "--force")
    tg.json("models", "rm", model)
    assert set(engine.counts().values()) == {0}


def test_the_cli_shows_our_sentences(tg: Tg) -> None:
    """An error of the engine reaches the terminal as its sentence, not as a blank line."""
    assert "The model ml_none does not exist." in tg("models", "get", "ml_none", status=1)
