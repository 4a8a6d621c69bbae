"""Pictures, in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass

from lorry.delivery.doubles.ground import Ground
from lorry.errors import NotRouted, NotThere
from lorry.model.generation import Picture, PictureOrder


@dataclass(frozen=True, slots=True)
class MemoryPainter:
    """`lorry.delivery.ports.Painter` in memory: flat pictures whose level tells what acted."""

    ground: Ground

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw flat grey pictures; an adapter makes them brighter."""

        def act() -> tuple[Picture, ...]:
            drawn = self.ground.calls.count("painter.paint")
            scale = self._scale(order)
            level = 100 + round(self.ground.effect * scale) + self.ground.noise * (drawn % 2)
            seeds = range(order.seed, order.seed + order.count)
            return tuple(Picture(flat_png(level, order.size or 8), seed) for seed in seeds)

        return await self.ground.meet("painter.paint", act)

    def _scale(self, order: PictureOrder) -> float:
        """Say how strongly an adapter acts: one that the request names on a base, or the deployed one."""
        if order.container is not None:
            names = [row["name"] for row in self.ground.things["containers"].values()]
            if order.container not in names:
                raise NotThere(f"There is no container {order.container}.")
            return sum(use.scale for use in order.loras)
        if order.target in self.ground.bases:
            return sum(use.scale for use in order.loras)
        routed = [row["routed"] for row in self.ground.things["endpoints"].values()]
        if not any(routed):
            raise NotRouted("No traffic.", evidence={"code": "endpoint_not_configured"})
        return 1.0 if order.scale is None else order.scale


def flat_png(level: int, size: int = 8) -> bytes:
    """Draw a grey square as PNG.

    Args:
        level: 0 for black to 255 for white.
        size: Edge in pixels.
    """
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (size, size), (level, level, level)).save(target, "PNG")
    return target.getvalue()
