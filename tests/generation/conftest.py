"""Records in memory and a painter that paints what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from lorry.generation import Generations
from lorry.model.generation import Picture, PictureOrder, TextOrder, Words
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel

AT = datetime(2026, 11, 1, tzinfo=UTC)


def png(shade: int = 128, size: tuple[int, int] = (8, 8)) -> bytes:
    """Draw a small picture of one colour."""
    written = BytesIO()
    Image.new("RGB", size, (shade % 256, 40, 90)).save(written, format="PNG")
    return written.getvalue()


@dataclass
class World:
    """What is known, what was ordered, and the service between them."""

    models: dict[str, TrainedModel] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    orders: list[PictureOrder] = field(default_factory=list)
    asked: list[TextOrder] = field(default_factory=list)
    ticks: list[float] = field(default_factory=lambda: [10.0, 12.5])

    async def model(self, name: str) -> TrainedModel | None:
        """Read a model."""
        return self.models.get(name)

    async def placement(self, model: str) -> Placement | None:
        """Read a placement."""
        return self.placements.get(model)

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Paint, and note the order."""
        self.orders.append(order)
        seeds = range(order.seed, order.seed + order.count)
        return tuple(Picture(png(seed), seed) for seed in seeds)

    def place(self, **changes: Any) -> None:
        """Change where the model is."""
        self.placements["tok"] = replace(self.placements["tok"], **changes)

    def generations(self) -> Generations:
        """Give the service; a seed that is drawn is the largest that may be."""
        ticks = iter(self.ticks)

        async def platform_of(_: Placement) -> World:
            return self

        return Generations(self, platform_of, clock=lambda: next(ticks), draw=lambda below: below - 1)

    @property
    def painter(self) -> World:
        """Paint with this."""
        return self

    @property
    def writer(self) -> World:
        """Write with this."""
        return self

    async def write(self, order: TextOrder) -> Words:
        """Answer, and note the order."""
        self.asked.append(order)
        return Words("Aye.", "stop", (3, 1))


@pytest.fixture
def world() -> World:
    """Give a world with one model that is ready."""
    ids = ProviderIds(endpoint_name="slug/tok", adapter_name="slug/tok-adapter")
    model = TrainedModel("tok", "/weights", "0" * 64, "flux-icons-64", "lorry/flux-icons-64", "TOK", 54, AT)
    placed = Placement("tok", "local", PlacementState.READY, "prove", ids, None, None, AT)
    return World({"tok": model}, {"tok": placed})
