"""The narrow seam between the engine and whatever draws: four verbs and the values they take.

Importing this module, or ``lorry.engine.renderers`` itself, loads neither torch nor onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

DEFAULT_STEPS = 8  # 4 steps are already hard to tell from 28; 8 leaves a margin for adapters
DEFAULT_GUIDANCE = 2.5


@dataclass(frozen=True, slots=True)
class AdapterUse:
    """One loaded adapter in one request: the key that ``load`` was given, and its strength."""

    key: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One picture to draw.

    Args:
        prompt: what to draw; the encoder reads its first 16 word pieces.
        seed: of the starting noise; the same seed and request give the same picture.
        steps: denoising steps, at least 1.
        guidance: classifier-free guidance; at most 1 means none (and half the work).
        negative_prompt: what guidance leads away from.
        adapters: adapters that act on this picture, their changes added up.
    """

    prompt: str
    seed: int
    steps: int = DEFAULT_STEPS
    guidance: float = DEFAULT_GUIDANCE
    negative_prompt: str = ""
    adapters: tuple[AdapterUse, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """What loading really did.

    Args:
        key: the name under which requests use it.
        modules: base layers that it was injected into; 0 means that it can change nothing.
        rank: the largest rank among them.
    """

    key: str
    modules: int
    rank: int


#: Says whether nobody wants what is being drawn any more.
Abandoned = Callable[[], bool]


def never() -> bool:
    """Say that it is still wanted."""
    return False


class DrawingAbandoned(Exception):
    """Nobody wants what was being drawn any more."""


class Renderer(Protocol):
    """Something that draws pictures with the small base model and adapters on it."""

    name: str

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Read an adapter file and keep it under a key, replacing what was there.

        Names that match no layer of the base are skipped and not counted, as the field's own loader does.

        Raises:
            AdapterUnusable: the file can't be read, or a tensor has a shape that fits no such layer.
        """
        ...

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; an unknown key is no error."""
        ...

    def render(self, requests: Sequence[RenderRequest], abandoned: Abandoned = never) -> list[Picture]:
        """Draw one uint8 [64, 64, 3] RGB picture per request, in order.

        Args:
            requests: what to draw.
            abandoned: asked between steps; says whether nobody wants any of them any more.

        Raises:
            DrawingAbandoned: nobody does.
            AdapterUnusable: a request names an adapter that is not loaded.
        """
        ...
