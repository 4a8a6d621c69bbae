"""What a delivery works with, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lorry.delivery import Deliveries, Policy
from lorry.delivery.doubles import (
    Ground,
    InstantDurable,
    MemoryPublisher,
    MemoryStore,
    OnePlace,
    memory_platform,
)
from lorry.delivery.mending import Leave, Mender
from lorry.delivery.place import Place, SharedBase
from lorry.delivery.ports import Publisher
from lorry.delivery.run import World
from lorry.delivery.seen import Look, Seen
from lorry.delivery.workflow import Workflows
from lorry.errors import error_from
from lorry.model.events import Event
from lorry.model.options import Wish
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from tests.delivery.others import HeardClaims

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Ticking:
    """A clock that moves by a tenth of a second whenever it is read."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        """Give the time."""
        self.now += timedelta(seconds=0.1)
        return self.now


@dataclass
class Checker:
    """A check that takes any file as a sound adapter, with the findings it is told."""

    findings: tuple[Finding, ...] = ()
    base: str | None = "icons"
    family: str | None = "icons"
    trigger: str | None = "TOK"
    kind: str = "image-lora"
    seen: list[Path] = field(default_factory=list)

    def __call__(self, source: str | Path) -> WeightsReport:
        """Judge a file."""
        source = Path(source)
        self.seen.append(source)
        summary = WeightsSummary(
            path=str(source),
            file=str(source),
            size_bytes=source.stat().st_size,
            digest=hashlib.sha256(source.read_bytes()).hexdigest(),
            family=self.family,
            base=self.base,
            modules=3,
            trigger=self.trigger,
            kind=self.kind,
        )
        return WeightsReport(summary, self.findings)


@dataclass
class Bench:
    """A platform, a Hub and a store in memory, and one file to ship."""

    home: Path
    source: Path
    ground: Ground = field(default_factory=Ground)
    store: MemoryStore = field(default_factory=MemoryStore)
    claims: HeardClaims = field(default_factory=HeardClaims)
    check: Checker = field(default_factory=Checker)
    policy: Policy = field(default_factory=lambda: Policy(first_look=0.001, first_retry=0.001))
    heard: list[Event] = field(default_factory=list)
    publisher: Publisher | None = None
    mender: Mender = field(default_factory=Leave)
    wish: Wish = field(default_factory=Wish)

    @property
    def places(self) -> OnePlace:
        """Give the place that every route leads to."""
        return OnePlace(
            Place(
                route=self.wish.route,
                platform=memory_platform(self.ground),
                publisher=self.publisher or MemoryPublisher(self.ground),
                check=self.check,
                mender=self.mender,
                shared={"icons": SharedBase("icons")},
                hub="memory://hub",
            )
        )

    @property
    def world(self) -> World:
        """Give the world that a run works with."""
        return World(
            self.home,
            self.store,
            self.store,
            self.store,
            self.places,
            Ticking(),
            self.policy,
            self.heard.append,
        )

    @property
    def model(self) -> TrainedModel:
        """Give the model as a check of the file makes it."""
        digest = hashlib.sha256(self.source.read_bytes()).hexdigest()
        return TrainedModel(
            "tok", str(self.source), digest, "icons", "icons", self.check.trigger, 3, AT, self.check.kind
        )

    async def walk(
        self, durable: InstantDurable | None = None, model: TrainedModel | None = None
    ) -> Placement:
        """Run the workflow `ship` without a durable runtime; raises what it ended with."""
        model = model or self.model
        await self.store.save_model(model)
        before = await self.store.placement("tok")
        blank = Placement(
            "tok",
            self.wish.route,
            PlacementState.DELIVERING,
            None,
            ProviderIds(),
            None,
            None,
            AT,
            options=self.wish.options,
        )
        await self.store.save_placement(
            replace(before or blank, state=PlacementState.DELIVERING, error=None, proof=None)
        )
        looks = (Look("check", "Checking the files.", "sound.", {}, AT, AT),)
        values = {**Seen(model, looks).as_values(), **self._wished()}
        answer = await Workflows(self.world).ship(durable or InstantDurable(), values)
        if answer["error"] is not None:
            raise error_from(answer["error"])
        return await self.placement()

    async def retire(self) -> dict[str, Any] | None:
        """Run the workflow `retire` without a durable runtime; gives the error's data."""
        await self.store.save_placement(
            replace(await self.placement(), state=PlacementState.RETIRING, error=None)
        )
        values = {"model": self.model.as_dict(), **self._wished()}
        answer = await Workflows(self.world).retire(InstantDurable(), values)
        error: dict[str, Any] | None = answer["error"]
        return error

    def _wished(self) -> dict[str, Any]:
        wish = self.wish
        return {"route": wish.route, "rehearsal": wish.rehearsal, "options": wish.options.given()}

    async def placement(self) -> Placement:
        """Read where the model stands."""
        placement = await self.store.placement("tok")
        assert placement is not None
        return placement

    async def told(self, *actions: str) -> list[str]:
        """List the journal as `step action`, only these actions when some are named."""
        events = await self.store.read("tok")
        return [
            f"{event.subject} {event.action}" for event in events if event.action in actions or not actions
        ]

    def open(self, home: Path | None = None, **parts: Any) -> AbstractAsyncContextManager[Deliveries]:
        """Open real deliveries, with the durable runtime, over this bench."""
        return _opened(self, home or self.home, parts)


@asynccontextmanager
async def _opened(bench: Bench, home: Path, parts: dict[str, Any]) -> AsyncIterator[Deliveries]:
    own = {name: parts.pop(name) for name in ("publisher", "mender") if name in parts}
    chosen: dict[str, Any] = {
        "home": home,
        "records": bench.store,
        "journal": bench.store,
        "intents": bench.store,
        "claims": bench.claims,
        "places": replace(bench, **own).places,
        "now": Ticking(),
        "policy": bench.policy,
        "listen": bench.heard.append,
    }
    async with Deliveries(**{**chosen, **parts}) as deliveries:
        yield deliveries


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    """Give a bench with a file."""
    source = tmp_path / "tok.safetensors"
    source.write_bytes(b"weights" * 300)
    home.mkdir()
    return Bench(home, source)


@pytest.fixture
def change(bench: Bench) -> Callable[[bytes], None]:
    """Change the user's file on disk."""

    def write(content: bytes) -> None:
        bench.source.write_bytes(content)

    return write
