"""An engine that rehearses Together's hardware and prices, a home, and the keeper between them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from lorry.engine.testing import RunningEngine, running_engine
from lorry.engine.together.bases import Catalog
from lorry.model.kept import Came, LedgerRow
from lorry.model.names import provider_name
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.settings import Settings
from lorry.spend.keeper import Keeper
from lorry.store import Store
from lorry.wiring import House
from lorry.wiring.spending import keeper_of

BASE = "lorry/flux-icons-64"


@dataclass
class Told:
    """The port `Diary`: keeps what it is told."""

    notes: list[tuple[str | None, str, str]] = field(default_factory=list)

    async def note(self, model: str | None, action: str, message: str, data: Mapping[str, object]) -> None:
        """Keep one thing."""
        del data
        self.notes.append((model, action, message))

    def actions(self) -> list[str]:
        """List what was done."""
        return [action for _, action, _ in self.notes]


@dataclass
class Ground:
    """Everything that a test of the keeper needs."""

    engine: RunningEngine
    house: House
    store: Store
    keeper: Keeper
    told: Told
    http: httpx.AsyncClient
    requests: list[str]

    @property
    def now(self) -> datetime:
        """Give the engine's time."""
        return self.engine.clock.now()

    async def deploy(self, name: str, *, placed: bool = True, replicas: int = 1) -> tuple[str, str]:
        """Make an endpoint with a deployment, as a delivery does; give the ids of both."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        theirs = provider_name(name, digest) if placed else name
        endpoint = await self.post("/endpoints", {"name": theirs})
        base = next(each for each in self.engine.engine.works.catalog.bases if each.name == BASE)
        config = self.engine.engine.works.catalog.offered(base)[0]
        body = {
            "name": theirs,
            "model": base.resource,
            "config": config.resource,
            "autoscaling": {"minReplicas": replicas, "maxReplicas": replicas},
        }
        made = await self.post(f"/endpoints/{endpoint['id']}/deployments", body)
        if placed:
            await self.place(name, digest, endpoint["id"], made["id"])
        return endpoint["id"], made["id"]

    async def place(self, name: str, digest: str, endpoint: str, deployment: str) -> None:
        """Write a model and its placement."""
        model = TrainedModel(name, f"/{name}", digest, "flux-icons-64", BASE, None, 10, self.now)
        ids = ProviderIds(endpoint=endpoint, endpoint_name=f"local/{name}", deployment=deployment)
        placed = Placement(
            name, "together-merged", PlacementState.READY, "prove", ids, None, None, self.now, rehearsal=True
        )
        await self.store.save_model(model, placed)

    async def asked(self, name: str, at: datetime, seconds: float = 1.0, cents: float = 0.0) -> None:
        """Write a row of the ledger."""
        request = f"req_{name}_{at.timestamp()}"
        row = LedgerRow(
            f"{request}-1", request, at, None, None, name, name, "together-merged", True, "images", Came.OK,
            None, 200, seconds * 1000, 1, cents=cents,
        )  # fmt: skip
        await self.store.ledger.write([row])

    async def post(self, path: str, body: Any) -> Any:
        """Ask the engine by its own API."""
        answer = await self.http.post(f"/v2/projects/{self.engine.project}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def deployment(self, endpoint: str, deployment: str) -> Any:
        """Read a deployment."""
        path = f"/v2/projects/{self.engine.project}/endpoints/{endpoint}/deployments/{deployment}"
        return (await self.http.get(path)).json()

    async def start(self, endpoint: str, deployment: str) -> None:
        """Start a stopped deployment."""
        path = f"/v2/projects/{self.engine.project}/endpoints/{endpoint}/deployments/{deployment}"
        body = {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}}
        answer = await self.http.patch(path, params={"updateMask": "autoscaling"}, json=body)
        assert answer.status_code == 200, answer.text

    async def invoice(self, since: datetime | None = None) -> Any:
        """Read the engine's invoice."""
        query = {"since": since.isoformat()} if since else {}
        return (await self.http.get("/_lorry/invoice", params=query)).json()

    async def passes(self, minutes: float, every: float = 1.0) -> None:
        """Let time pass, with a pass of the keeper every so many minutes."""
        for _ in range(round(minutes / every)):
            self.engine.advance(every * 60)
            await self.keeper.once()


@asynccontextmanager
async def ground(
    folder: Path, *, catalog: Catalog | None = None, lease: float = 60.0, grace: float = 10.0
) -> AsyncIterator[Ground]:
    """Open an engine and a home beside it.

    Args:
        folder: Where to.
        catalog: What the engine serves on what; Together's hardware when omitted.
        lease: Minutes that something runs on after its last use.
        grace: Minutes for which it is left alone after it first answers.
    """
    requests: list[str] = []

    async def seen(request: httpx.Request) -> None:
        requests.append(f"{request.method} {request.url.path}")

    with running_engine(folder / "engine", hardware="together", catalog=catalog) as engine:
        settings = Settings(folder / "home", engine_url=engine.url, lease_minutes=lease, grace_minutes=grace)
        house = House(settings, clock=engine.clock.now)
        told = Told()
        try:
            async with httpx.AsyncClient(base_url=engine.url, headers={"authorization": "Bearer x"}) as http:
                store = await house.store()
                yield Ground(engine, house, store, keeper_of(house, told), told, http, requests)
        finally:
            await house.close()


def minutes(count: float) -> timedelta:
    """Give so many minutes."""
    return timedelta(minutes=count)
