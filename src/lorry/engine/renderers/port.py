"""The narrow seam between the engine and whatever draws, and the values that pass through it.

A renderer draws what a feed gives it. It asks the feed for more whenever another picture could begin, which a
renderer that draws step by step does between any two steps, and one that draws whole batches between these.

Importing this module, or ``lorry.engine.renderers`` itself, loads neither torch nor onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
        prompt: what to draw; the small base reads its first 16 word pieces.
        seed: of the starting noise; the same seed and request give the same picture.
        steps: denoising steps, at least 1.
        guidance: classifier-free guidance; at most 1 means none (and half the work).
        negative_prompt: what guidance leads away from.
        adapters: adapters that act on this picture, their changes added up.
        width: in px; the base's own when None.
        height: in px; the base's own when None.
    """

    prompt: str
    seed: int
    steps: int = DEFAULT_STEPS
    guidance: float = DEFAULT_GUIDANCE
    negative_prompt: str = ""
    adapters: tuple[AdapterUse, ...] = ()
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """What loading really did.

    Attributes:
        key: the name under which requests use it.
        modules: base layers that it was injected into; 0 means that it can change nothing.
        rank: the largest rank among them.
    """

    key: str
    modules: int
    rank: int


@dataclass(frozen=True, slots=True)
class ReadAdapter:
    """An adapter in the host's memory: read, found sound, and ready to be placed.

    Attributes:
        modules: base layers that it changes.
        rank: the largest rank among them.
        size: bytes that it takes in the host's memory.
        content: whatever the renderer that read it makes of it.
    """

    modules: int
    rank: int
    size: int
    content: Any


@dataclass(frozen=True, slots=True)
class Canvas:
    """Which pictures a base draws.

    Attributes:
        native: side in px when nothing is said.
        smallest: least side.
        largest: largest side.
        multiple: sides are multiples of this.
        square: whether both sides have to be alike.
        own: whether it draws at the size that is asked for; else at `native`, and that is enlarged.
        steps: denoising steps when nothing is said.
        guidance: its strength when nothing is said.
    """

    native: int
    smallest: int
    largest: int
    multiple: int
    square: bool
    own: bool
    steps: int = DEFAULT_STEPS
    guidance: float = DEFAULT_GUIDANCE


#: Says whether nobody wants what is being drawn any more.
Abandoned = Callable[[], bool]

#: Makes a picture of what is being drawn, as it looks by now.
Look = Callable[[], Picture]


def never() -> bool:
    """Say that it is still wanted."""
    return False


class DrawingAbandoned(Exception):
    """Nobody wants what was being drawn any more."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A picture on its way.

    Attributes:
        request: what to draw.
        abandoned: asked between steps.
    """

    request: RenderRequest
    abandoned: Abandoned = never


class Feed(Protocol):
    """Where a renderer gets its work from, and where it brings it."""

    def take(self, beside: Sequence[Ticket]) -> Sequence[Ticket]:
        """Give what can be begun now.

        Args:
            beside: what is being drawn already; what is given fits in beside it.
        """
        ...

    def step(self, ticket: Ticket, done: int, look: Look) -> None:
        """Hear of a step.

        Args:
            ticket: the picture.
            done: steps that are done.
            look: gives it as it looks by now; only good until this returns.
        """
        ...

    def finish(self, ticket: Ticket, picture: Picture) -> None:
        """Take a picture, uint8 [height, width, 3] RGB."""
        ...

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Hear that a picture can't be drawn; the others go on."""
        ...


class Renderer(Protocol):
    """Something that draws pictures with a base model and adapters on it.

    Attributes:
        name: by which it is chosen.
        canvas: which pictures its base draws.
        places_beside: whether an adapter can be placed and unloaded while something is drawn.
    """

    name: str
    canvas: Canvas
    places_beside: bool

    def read(self, path: Path) -> ReadAdapter:
        """Read an adapter file into the host's memory; may be called from any thread, at any time.

        Names that match no layer of the base are skipped and not counted, as the field's own loader does.

        Raises:
            AdapterUnusable: the file can't be read, or a tensor has a shape that fits no such layer.
        """
        ...

    def place(self, key: str, adapter: ReadAdapter) -> int:
        """Bring what was read to where it is drawn, replacing what was there under this key.

        Returns:
            Bytes that it takes there.

        Raises:
            AdapterUnusable: it can't be.
        """
        ...

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; an unknown key is no error."""
        ...

    def shape(self, request: RenderRequest) -> Hashable:
        """Say what pictures must have in common to be drawn in one batch."""
        ...

    def fits(self, requests: Sequence[RenderRequest]) -> bool:
        """Say whether pictures of one shape are few and small enough for one batch."""
        ...

    def draw(self, feed: Feed) -> None:
        """Draw what a feed gives until it gives nothing more.

        Raises:
            Exception: something failed that is not one picture's alone; those that were begun are not done.
        """
        ...

    def load(self, key: str, path: Path) -> LoadedAdapter:
        """Read an adapter file and place it.

        Raises:
            AdapterUnusable: see `read`; what was there under this key stays.
        """
        read = self.read(path)
        self.place(key, read)
        return LoadedAdapter(key, read.modules, read.rank)

    def render(self, requests: Sequence[RenderRequest], abandoned: Abandoned = never) -> list[Picture]:
        """Draw these and nothing else, in order.

        Args:
            requests: what to draw.
            abandoned: asked between steps; says whether nobody wants any of them any more.

        Raises:
            DrawingAbandoned: nobody does.
            AdapterUnusable: a request names an adapter that is not loaded.
        """
        from lorry.engine.renderers.once import Once

        feed = Once(self, requests, abandoned)
        self.draw(feed)
        return feed.pictures()
