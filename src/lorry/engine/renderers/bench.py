"""Open what a container's worker draws with: the base that comes along, or a pipeline in a folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lorry.container.bench import Bench, Drawing
from lorry.engine.renderers.base import base_model
from lorry.engine.renderers.port import (
    AdapterUse,
    Canvas,
    Picture,
    Renderer,
    RenderRequest,
)
from lorry.errors import OptionInvalid

if TYPE_CHECKING:
    from lorry.container.settings import WorkerSettings

#: LoRAs that stay loaded, the least recently used leaving first; more than any one job has.
RESIDENTS = 16


def open_bench(settings: WorkerSettings) -> Bench:
    """Open the base model that a worker is told to draw with.

    Args:
        settings: What it was told.

    Raises:
        OptionInvalid: There is no such base here, or the folder holds no pipeline that can be opened.
        ExtraMissing: It needs an extra that is not installed.
    """
    from lorry.engine.renderers import open_renderer

    if settings.base_folder is not None:
        from lorry.engine.renderers.pipeline_opening import Base
        from lorry.engine.renderers.pipelines import PipelineRenderer

        base = Base(
            settings.base, settings.base_folder, settings.precision, settings.quantise, settings.compile
        )
        return RendererBench(settings.base, PipelineRenderer(base))
    own = base_model().id
    if settings.base != own:
        raise OptionInvalid(
            f"The base {settings.base} does not come along with the worker; only {own} does.",
            fix="Set LORRY_BASE_FOLDER to the folder that holds the base, saved by diffusers.",
            evidence={"base": settings.base, "comes_along": own},
        )
    return RendererBench(own, open_renderer("onnx"))


class RendererBench:
    """A renderer as a worker's bench.

    Args:
        base: Public id of what it draws with.
        renderer: What draws; it may hold other adapters too.
    """

    def __init__(self, base: str, renderer: Renderer) -> None:
        self.base = base
        self._renderer = renderer
        self._loaded: OrderedDict[str, int] = OrderedDict()

    @property
    def largest(self) -> int:
        """The longest edge of a picture; see the port."""
        return self._renderer.canvas.largest

    @property
    def multiple(self) -> int:
        """What edges are multiples of; see the port."""
        return self._renderer.canvas.multiple

    def load(self, digest: str, path: Path) -> int:
        """Load a LoRA under its digest; see the port."""
        if digest not in self._loaded:
            self._loaded[digest] = self._renderer.load(digest, path).modules
        self._loaded.move_to_end(digest)
        while len(self._loaded) > RESIDENTS:
            self._renderer.unload(self._loaded.popitem(last=False)[0])
        return self._loaded[digest]

    def draw(self, drawings: Sequence[Drawing]) -> list[Picture]:
        """Draw all at once, where they are alike; see the port."""
        return drawn_by(self._renderer.render, self.base, self._renderer.canvas, drawings)

    def close(self) -> None:
        """Unload what was loaded."""
        while self._loaded:
            self._renderer.unload(self._loaded.popitem()[0])


def drawn_by(
    render: Callable[[Sequence[RenderRequest]], list[Picture]],
    base: str,
    canvas: Canvas,
    drawings: Sequence[Drawing],
) -> list[Picture]:
    """Have a renderer draw at the size that is asked for, or at its own, and enlarge that.

    Args:
        render: Draws.
        base: Id of its base, for the sentence.
        canvas: Which pictures that draws.
        drawings: What is wanted.

    Raises:
        OptionInvalid: A drawing is no square, where the base draws only these.
    """
    for drawing in drawings:
        if canvas.square and drawing.width != drawing.height:
            size = f"{drawing.width}x{drawing.height}"
            raise OptionInvalid(
                f"The base {base} draws squares; {size} was asked for.",
                fix="Give a size, or width and height alike.",
            )
    pictures = render([_request(drawing, canvas) for drawing in drawings])
    if canvas.own:
        return pictures
    return [_enlarged(picture, drawing.width) for picture, drawing in zip(pictures, drawings, strict=True)]


def _request(drawing: Drawing, canvas: Canvas) -> RenderRequest:
    return RenderRequest(
        prompt=drawing.prompt,
        seed=drawing.seed,
        steps=drawing.steps or canvas.steps,
        guidance=canvas.guidance if drawing.guidance is None else drawing.guidance,
        negative_prompt=drawing.negative_prompt,
        adapters=tuple(AdapterUse(use.digest, use.scale) for use in drawing.uses),
        width=drawing.width if canvas.own else None,
        height=drawing.height if canvas.own else None,
    )


def _enlarged(picture: Picture, edge: int | None) -> Picture:
    if edge is None or picture.shape[0] == edge:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture, "RGB").resize((edge, edge), Image.Resampling.LANCZOS))
