"""Which sizes of pictures a route draws, and the nearest one to a size that it does not."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.model.serving import Place


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a route.

    Attributes:
        least: Shortest edge, pixels.
        most: Longest edge, pixels.
        step: Edges are multiples of it.
        square: Whether both edges are the same.
        native: The edge when none is asked for, pixels.
    """

    least: int
    most: int
    step: int
    square: bool
    native: int

    def draws(self, width: int, height: int) -> bool:
        """Say whether the route draws a size."""
        return self.nearest(width, height) == (width, height)

    def nearest(self, width: int, height: int) -> tuple[int, int]:
        """Give the valid size that is nearest to one, itself where it is valid.

        Args:
            width: Pixels.
            height: Pixels.
        """
        if self.square:
            edge = self._edge(width if width == height else round((width + height) / 2))
            return edge, edge
        return self._edge(width), self._edge(height)

    def _edge(self, pixels: int) -> int:
        bounded = min(max(pixels, self.least), self.most)
        below = bounded // self.step * self.step
        nearest = below if bounded - below <= self.step // 2 else below + self.step
        return min(max(nearest, -(-self.least // self.step) * self.step), self.most // self.step * self.step)


#: The embedded engine: square, its base draws 64 and it enlarges (lorry.engine.inference.images).
EMBEDDED = Sizes(64, 1920, 8, square=True, native=64)
#: Together's image API (Together API dossier 3.1: 256 to 1920, multiples of 8; 1024 without a word).
TOGETHER = Sizes(256, 1920, 8, square=False, native=1024)


def sizes_of(place: Place) -> Sizes:
    """Give the sizes of a place."""
    return EMBEDDED if place.embedded else TOGETHER
