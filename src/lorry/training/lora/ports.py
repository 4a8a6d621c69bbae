"""What the trainer needs of a base model, and what it is told to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

#: uint8 [height, width, 3].
Picture = npt.NDArray[np.uint8]


class Words(NamedTuple):
    """Captions as the transformer reads them: [n, tokens, width] and [n, width]."""

    tokens: Tensor
    pooled: Tensor


class TrainableBase(Protocol):
    """A base model whose transformer can carry peft's layers.

    Attributes:
        id: Public id.
        edge: Edge of its pictures in pixels.
        quick: Whether pictures are encoded in no time, so that each step may shift them.
        sigma_mean: Mean of the logits of noise levels in training: above 0 for more at the noisy end.
        transformer: diffusers' class.
        targets: Layers that get an adapter, by their names.
        prior: Captions of ordinary things that it draws.
    """

    id: str
    edge: int
    quick: bool
    sigma_mean: float
    transformer: Any
    targets: Sequence[str]
    prior: Sequence[str]

    def encode(self, pictures: Sequence[Picture]) -> Tensor:
        """Give pictures as the transformer's clean tokens [n, tokens, channels]."""

    def words(self, captions: Sequence[str]) -> Words:
        """Encode captions."""

    def predict(self, noisy: Tensor, sigma: Tensor, words: Words) -> Tensor:
        """Predict the velocity, noise less clean, of noisy tokens at noise levels from 0 to 1; float32."""

    def draw(self, captions: Sequence[str], seed: int) -> list[Picture]:
        """Draw captions with the transformer as it is now."""

    def save(self, folder: Path, layers: dict[str, Tensor], config: dict[str, Any]) -> None:
        """Save an adapter as diffusers does: `pytorch_lora_weights.safetensors`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        trigger: The word that calls what is learnt.
        steps: Steps in all.
        rank: Rank of the adapter; its strength (alpha) is the same.
        batch: New pictures a step; half as many ordinary ones join for the prior.
        rate: The highest learning rate; it rises for ten steps, then falls along a cosine to a twentieth.
        prior: Weight of what keeps ordinary pictures as they are; 0 leaves that out.
        seed: Start of everything that is random.
        every: Steps between two checkpoints, each with its previews.
    """

    trigger: str
    steps: int = 220
    rank: int = 16
    batch: int = 8
    rate: float = 5e-3
    prior: float = 1.0
    seed: int = 0
    every: int = 55

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


class Moment(NamedTuple):
    """Where a training stands after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Of the new pictures, the mean of the last 25 steps.
        kept: How far ordinary pictures have moved, the same.
        preview: A picture that was just drawn; `None` between.
    """

    step: int
    steps: int
    loss: float
    kept: float
    preview: Path | None = None


Seen = Callable[[Moment], None]
