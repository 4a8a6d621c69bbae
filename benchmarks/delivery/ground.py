"""What the benchmarks of deliveries stand on: the doubles, whose deployments take their time by the clock."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lorry.delivery import Deliveries, Policy
from lorry.delivery.doubles import Ground, MemoryPublisher, OnePlace, memory_platform
from lorry.delivery.doubles.serving import MemoryDeployments
from lorry.delivery.place import Place
from lorry.delivery.ports import DeploymentOrder, DeploymentState, HostedDeployment, Platform
from lorry.model.report import WeightsReport, WeightsSummary
from lorry.store import open_store
from lorry.wiring import now

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the tests know how to start a Postgres


def sound(source: str | Path) -> WeightsReport:
    """Judge any file as a sound adapter: what a check costs is measured elsewhere."""
    path = Path(source)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    summary = WeightsSummary(
        path=str(path),
        file=str(path),
        size_bytes=path.stat().st_size,
        digest=digest,
        family="icons",
        base="icons",
        modules=3,
        trigger="TOK",
        kind="image-lora",
    )
    return WeightsReport(summary, ())


@dataclass(slots=True)
class Stage:
    """One deployment: when it was made, how many seconds it takes, and when it was first seen ready."""

    began: float
    takes: float
    seen: float | None = None

    @property
    def late(self) -> float | None:
        """Give by how many seconds ready was noticed too late; `None` while it was not."""
        return None if self.seen is None else self.seen - self.began - self.takes


@dataclass(slots=True)
class Clocked:
    """Deployments that get ready by the clock, each after a time of its own.

    Attributes:
        takes: Says how many seconds the deployment of a name takes.
        stages: What happened, by the deployment's id.
        looks: When somebody looked, seconds on the same clock.
    """

    takes: Callable[[str], float]
    stages: dict[str, Stage] = field(default_factory=dict)
    looks: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ClockedDeployments(MemoryDeployments):
    """`lorry.delivery.ports.Deployments` in memory, by the clock."""

    clocked: Clocked = field(kw_only=True)

    async def create(self, endpoint: str, order: DeploymentOrder) -> HostedDeployment:
        """Deploy a model."""
        made = await MemoryDeployments.create(self, endpoint, order)
        self.clocked.stages[made.id] = Stage(time.monotonic(), self.clocked.takes(order.name))
        return made

    async def look(self, endpoint: str, deployment: str) -> HostedDeployment | None:
        """Read one deployment's present state."""
        at = time.monotonic()
        self.clocked.looks.append(at)
        stage = self.clocked.stages[deployment]
        found = await MemoryDeployments.look(self, endpoint, deployment)
        if found is None or at < stage.began + stage.takes:
            return found and replace(found, state=DeploymentState.STARTING, said="STARTING")
        stage.seen = stage.seen or at
        return found


def clocked_platform(ground: Ground, clocked: Clocked) -> Platform:
    """Build a platform on a ground whose deployments take their time."""
    return replace(memory_platform(ground), deployments=ClockedDeployments(ground, clocked=clocked))


@asynccontextmanager
async def opened(
    home: Path,
    ground: Ground,
    platform: Platform | None = None,
    database: str | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[Deliveries]:
    """Open deliveries over a real database and a platform in memory.

    Args:
        home: Folder of their state.
        ground: What the platform lives on.
        platform: Who serves; the doubles as they are when `None`.
        database: Address of a Postgres database; SQLite in the home when `None`.
        policy: The default one when `None`.
    """
    place = Place(
        "local", platform or memory_platform(ground), MemoryPublisher(ground), sound, hub="memory://"
    )
    async with open_store(home, database) as store:
        deliveries = Deliveries(
            home=home,
            records=store,
            journal=store,
            intents=store,
            claims=store.claiming,
            places=OnePlace(place),
            now=now,
            policy=policy,
            database=database,
        )
        async with deliveries:
            yield deliveries


def files_in(folder: Path, count: int) -> list[Path]:
    """Write files to ship, each another."""
    files = [folder / f"m{number}.safetensors" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(f"weights {number}".encode() * 100)
    return files


def share(values: Sequence[float], part: float) -> float:
    """Give the value that a part of all is at most (0.95 for the 95th percentile)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
