"""The unmodified official client 2.42.0, the last of the API's first version, against the engine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lorry.delivery.ports import Publication, UploadFile
from lorry.engine.testing import RunningEngine, running_engine
from lorry.hub import HubPublisher
from tests.engine.samples import WORDS

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

DISPATCH = Path(__file__).parents[3] / "examples" / "dispatch"
SDK = Path(sys.prefix) / "sdk-v1"


@pytest.fixture
def engine(home: Path) -> Iterator[RunningEngine]:
    """Give a running engine on which endpoints of the first version can be made."""
    with running_engine(home, v1=True) as running:
        yield running


def published(engine: RunningEngine) -> str:
    """Put the sample adapter on the engine's Hub; give its repository."""
    files = tuple(
        UploadFile(name, DISPATCH / name) for name in ("adapter_config.json", "adapter_model.safetensors")
    )
    publication = Publication("dispatch", files, WORDS.name, None, "ab" * 32, False)
    return asyncio.run(HubPublisher(engine.url, "any", xet=False).publish(publication)).repo


def official(engine: RunningEngine, function: str, *arguments: str) -> dict[str, Any]:
    """Run a function of `client.py` with the old client; give what it printed."""
    assert SDK.is_dir(), f"{SDK} is missing: run `make test`, which installs the old client there"
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("client.py"), engine.url, function, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["version"] == "2.42.0"
    return found


def test_the_whole_life_of_an_adapter(engine: RunningEngine) -> None:
    """Upload, job, hardware, endpoint, an answer in other words than the base's, and nothing is left."""
    seen = official(engine, "life", published(engine), WORDS.name)
    assert (seen["job"], seen["updates"][-1], seen["source"]) == ("Complete", "Complete", "huggingface")
    assert (seen["hardware"], seen["free"]) == (["1x_local_cpu"], ["available"])
    assert seen["zones"] == ["this-machine"]
    assert seen["states"] == ["STARTED", "STARTED", "STOPPED"]
    assert seen["names"] == ["my dispatch", "another"]
    assert seen["listed"]
    assert seen["with"] != seen["without"]
    assert seen["left"] == []
    assert engine.counts()["endpoints"] == engine.counts()["deployments"] == 0


def test_new_endpoints_are_refused_as_at_together(home: Path) -> None:
    """Unless it is told otherwise, creating one is 403 with the code that Together gives."""
    with running_engine(home) as engine:
        seen = official(engine, "closed", WORDS.name)
    assert seen["status"] == 403
    assert "endpoints_v1_create_access_disabled" in json.dumps(seen["body"])


@pytest.mark.parametrize("source", ["local/nothing", "https://example.com/weights.zip?signature=x"])
def test_a_job_that_fails_says_why(engine: RunningEngine, source: str) -> None:
    """A source that can't be read ends the job as Failed, with a sentence and without its secret."""
    seen = official(engine, "failed", source, WORDS.name)
    assert seen["status"] == "Failed"
    assert "repository" in seen["last"]
