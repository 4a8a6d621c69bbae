"""A delivery through faults that the engine was asked for: exactly one of each thing, or a plain sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lorry import Lorry
from lorry.engine.testing import RunningEngine, running_engine
from lorry.errors import DeploymentFailed, NoCapacity, RevisionRejected
from lorry.model.placement import PlacementState
from lorry.settings import Settings

# The Hub's client, at its upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOK = Path(__file__).parents[2] / "examples" / "tok"
KEY = "the-delivery"
ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[RunningEngine]:
    """Give a running engine with a home of its own."""
    with running_engine(tmp_path / "engine") as running:
        yield running


@pytest.fixture
async def lorry(engine: RunningEngine, tmp_path: Path) -> AsyncIterator[Lorry]:
    """Give Lorry, which talks to that engine with a key that nobody else has."""
    async with Lorry(Settings(home=tmp_path / "home", engine_url=engine.url, engine_key=KEY)) as opened:
        yield opened


def fault(engine: RunningEngine, **wanted: Any) -> None:
    """Have a fault wait for the delivery."""
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx2.post(f"{engine.url}/_lorry/faults", json=wanted, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("kind", ["cut", "garble"])
@pytest.mark.parametrize(
    "path", ["*/models", "*/models/upload/create", "*/models/upload/complete", "*/endpoints", "*/deployments"]
)
async def test_an_answer_that_is_lost_after_the_act_makes_nothing_twice(
    engine: RunningEngine, lorry: Lorry, path: str, kind: str
) -> None:
    """The thing that was made is found by its name and adopted."""
    fault(engine, kind=kind, method="POST", path=path)
    placement = await lorry.ship(TOK, "tok")
    assert placement.state is PlacementState.READY
    assert engine.counts() == ONE


async def test_a_busy_platform_is_asked_again(engine: RunningEngine, lorry: Lorry) -> None:
    """Two refusals with 503 cost time and nothing else."""
    fault(engine, kind="refuse", status=503, method="POST", path="*/endpoints", times=2)
    assert (await lorry.ship(TOK, "tok")).state is PlacementState.READY
    assert engine.counts() == ONE


async def test_a_failed_deployment_ends_the_delivery_and_bills_nothing(
    engine: RunningEngine, lorry: Lorry
) -> None:
    """The platform's own sentence is in the error; the same command afterwards ends ready."""
    fault(engine, kind="fail", message="Container exited with code 137.")
    with pytest.raises(DeploymentFailed, match="code 137"):
        await lorry.ship(TOK, "tok")
    assert (await lorry.ship(TOK, "tok")).state is PlacementState.READY
    assert engine.counts() == ONE


async def test_rejected_files_are_told_with_the_platform_s_reasons(
    engine: RunningEngine, lorry: Lorry
) -> None:
    """Nothing is deployed of files that the platform refused."""
    fault(engine, kind="reject", message="model.layers.0 is corrupt.")
    with pytest.raises(RevisionRejected, match=r"layers\.0 is corrupt"):
        await lorry.ship(TOK, "tok")
    assert engine.counts()["deployments"] == 0


async def test_exhausted_capacity_is_its_own_error(engine: RunningEngine, lorry: Lorry) -> None:
    """However often it is asked, no hardware is free: the error says so, and nothing bills."""
    fault(engine, kind="capacity", times=1000)
    with pytest.raises(NoCapacity):
        await lorry.ship(TOK, "tok")
    assert engine.counts()["deployments"] == 0
