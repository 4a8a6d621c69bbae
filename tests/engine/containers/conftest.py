"""The unmodified official client, and containers that it runs on an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from together import Together
from together.types.beta import Deployment

from lorry.engine.testing import RunningEngine, running_engine

EXAMPLES = Path(__file__).parents[3] / "examples"
IMAGE = "registry.together.xyz/local/lorry-worker:latest"
BASE = "lorry/flux-icons-64"

#: Runs a container and gives it.
Deploy = Callable[..., Deployment]


@pytest.fixture
def engine(home: Path) -> Iterator[RunningEngine]:
    """Give a running engine whose states advance at once."""
    with running_engine(home) as running:
        yield running


def client_of(engine: RunningEngine) -> Together:
    """Open the official client, as anybody would."""
    return Together(base_url=engine.url, api_key="any", project_id=engine.project, max_retries=0)


@pytest.fixture
def together(engine: RunningEngine) -> Iterator[Together]:
    """Give the official client."""
    with client_of(engine) as client:
        yield client


def spec(**more: Any) -> dict[str, Any]:
    """Say what a container of ours is to be."""
    asked: dict[str, Any] = {
        "name": "tok-worker",
        "image": IMAGE,
        "gpu_type": "h100-80gb",
        "environment_variables": [{"name": "LORRY_BASE", "value": BASE}],
    }
    return asked | more


@pytest.fixture
def deploy(together: Together) -> Deploy:
    """Give what runs a container."""

    def run(**more: Any) -> Deployment:
        return together.beta.jig.deploy(**spec(**more))

    return run
