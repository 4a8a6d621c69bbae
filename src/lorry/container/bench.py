"""The seam between a worker and whatever draws: three verbs and the values they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Use:
    """One LoRA in one drawing: the digest that `load` was given, and its strength."""

    digest: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture to draw.

    Attributes:
        prompt: What to draw.
        seed: Of the starting noise; the same seed and drawing give the same picture.
        width: Pixels; the base's own size when `None`.
        height: Pixels; the base's own size when `None`.
        steps: Denoising steps; what suits the base when `None`.
        guidance: Strength of the guidance; what suits the base when `None`.
        negative_prompt: What guidance leads away from.
        uses: LoRAs that act on this picture, their changes added up.
    """

    prompt: str
    seed: int
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str = ""
    uses: tuple[Use, ...] = ()


class Bench(Protocol):
    """An opened base model.

    Attributes:
        base: Public id of the base model; LoRAs are checked against it.
        largest: Longest edge of a picture, in pixels.
        multiple: Edges are multiples of this many pixels.
    """

    @property
    def base(self) -> str: ...  # noqa: D102 - see above
    @property
    def largest(self) -> int: ...  # noqa: D102
    @property
    def multiple(self) -> int: ...  # noqa: D102

    def load(self, digest: str, path: Path) -> int:
        """Load a LoRA under its digest and give the layers that it changes; a loaded one stays as it is.

        Raises:
            AdapterUnusable: The file can't be read, or does not fit the base.
        """

    def draw(self, drawings: Sequence[Drawing]) -> list[Picture]:
        """Draw one uint8 [height, width, 3] RGB picture per drawing, in order.

        Raises:
            AdapterUnusable: A drawing uses a LoRA that is not loaded.
        """

    def close(self) -> None:
        """Let go of the model."""
