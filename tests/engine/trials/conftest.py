"""An endpoint with two deployments, over HTTP, and the official client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from together import Together

from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.samples import WORDS
from tests.engine.strict import strict_client


@dataclass(frozen=True)
class Pair:
    """An endpoint whose traffic all goes to `one`; `two` is ready beside it."""

    engine: RunningEngine
    client: Together
    endpoint: str
    name: str
    one: str
    two: str

    def deploy(self, name: str, **more: object) -> str:
        """Deploy the base once more."""
        made = self.client.endpoints.deployments.create(
            self.endpoint,
            name=name,
            model=WORDS.resource,
            config=WORDS.configs[0].resource,
            autoscaling={"min_replicas": 1, "max_replicas": 1},
            **more,  # type: ignore[arg-type]
        )
        return made.id

    def split(self) -> dict[str, float]:
        """Read the traffic split."""
        return {
            row.deployment_id: row.weight
            for row in self.client.endpoints.retrieve(self.endpoint).traffic_split
        }

    def state(self, deployment: str) -> str:
        """Look at a deployment's state."""
        seen = self.client.endpoints.deployments.retrieve(deployment, endpoint_id=self.endpoint)
        return seen.status.state.removeprefix("DEPLOYMENT_STATE_")

    def ask(self, count: int = 1, start: int = 0) -> None:
        """Ask the endpoint for words, each time as another user."""
        for number in range(start, start + count):
            body = {
                "model": self.name,
                "messages": [{"role": "user", "content": "Hello."}],
                "max_tokens": 1,
                "user": f"user-{number}",
            }
            answer = httpx2.post(
                f"{self.engine.url}/v1/chat/completions", json=body, headers={"Authorization": "Bearer any"}
            )
            assert answer.status_code == 200, answer.text

    def answered(self, deployment: str) -> int:
        """Count what a deployment has answered."""
        rows = self.engine.engine.shelves.requests.all(self.endpoint)
        return sum(row.deployment_id == deployment for row in rows)


def paired(engine: RunningEngine) -> Pair:
    """Make the pair."""
    client = strict_client(engine.url, engine.project)
    endpoint = client.endpoints.create(name="words")
    pair = Pair(engine, client, endpoint.id, endpoint.name, "", "")
    one, two = pair.deploy("one"), pair.deploy("two")
    client.endpoints.update(
        endpoint.id, traffic_split=[{"deployment_id": one, "weight": 1}], update_mask="trafficSplit"
    )
    return Pair(engine, client, endpoint.id, endpoint.name, one, two)


@pytest.fixture
def pair(home: Path) -> Iterator[Pair]:
    """Give the pair in an engine whose steps pass at each look."""
    with running_engine(home, pace=Pace.at_once()) as engine:
        yield paired(engine)
