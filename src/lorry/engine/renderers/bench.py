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
    DEFAULT_GUIDANCE,
    DEFAULT_STEPS,
    AdapterUse,
    Picture,
    Renderer,
    RenderRequest,
)
from lorry.errors import OptionInvalid

if TYPE_CHECKING:
    from lorry.container.settings import WorkerSettings

#: LoRAs that stay loaded, the least recently used leaving first; more than any one job has.
RESIDENTS = 16

#: The longest edge that pictures are enlarged to.
LARGEST = 1920


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
        from lorry.engine.renderers.pipelines import PipelineBench

        return PipelineBench(settings.base, settings.base_folder)
    own = base_model().id
    if settings.base != own:
        raise OptionInvalid(
            f"The base {settings.base} does not come along with the worker; only {own} does.",
            fix="Set LORRY_BASE_FOLDER to the folder that holds the base, saved by diffusers.",
            evidence={"base": settings.base, "comes_along": own},
        )
    return RendererBench(open_renderer("onnx"))


class RendererBench:
    """The small base model as a bench.

    Args:
        renderer: What draws; it may hold other adapters too.
    """

    base: str
    largest = LARGEST
    multiple = 8

    def __init__(self, renderer: Renderer) -> None:
        self.base = base_model().id
        self._renderer = renderer
        self._loaded: OrderedDict[str, int] = OrderedDict()

    def load(self, digest: str, path: Path) -> int:
        """Load a LoRA under its digest; see the port."""
        if digest not in self._loaded:
            self._loaded[digest] = self._renderer.load(digest, path).modules
        self._loaded.move_to_end(digest)
        while len(self._loaded) > RESIDENTS:
            self._renderer.unload(self._loaded.popitem(last=False)[0])
        return self._loaded[digest]

    def draw(self, drawings: Sequence[Drawing]) -> list[Picture]:
        """Draw at the base's own size and enlarge to what was asked for; see the port."""
        for drawing in drawings:
            if drawing.width != drawing.height:
                size = f"{drawing.width}x{drawing.height}"
                raise OptionInvalid(
                    f"The base {self.base} draws squares; {size} was asked for.",
                    fix="Give a size, or width and height alike.",
                )
        pictures = self._renderer.render([_request(drawing) for drawing in drawings])
        return [
            _enlarged(picture, drawing.width) for picture, drawing in zip(pictures, drawings, strict=True)
        ]

    def close(self) -> None:
        """Unload what was loaded."""
        while self._loaded:
            self._renderer.unload(self._loaded.popitem()[0])


def drawn_by(
    render: Callable[[Sequence[RenderRequest]], list[Picture]], base: str, drawings: Sequence[Drawing]
) -> list[Picture]:
    """Have a renderer draw at its own size, and enlarge to what was asked for.

    Args:
        render: Draws.
        base: Id of its base, for the sentence.
        drawings: What is wanted.

    Raises:
        OptionInvalid: A drawing is no square.
    """
    for drawing in drawings:
        if drawing.width != drawing.height:
            size = f"{drawing.width}x{drawing.height}"
            raise OptionInvalid(
                f"The base {base} draws squares; {size} was asked for.",
                fix="Give a size, or width and height alike.",
            )
    pictures = render([_request(drawing) for drawing in drawings])
    return [_enlarged(picture, drawing.width) for picture, drawing in zip(pictures, drawings, strict=True)]


def _request(drawing: Drawing) -> RenderRequest:
    return RenderRequest(
        prompt=drawing.prompt,
        seed=drawing.seed,
        steps=drawing.steps or DEFAULT_STEPS,
        guidance=DEFAULT_GUIDANCE if drawing.guidance is None else drawing.guidance,
        negative_prompt=drawing.negative_prompt,
        adapters=tuple(AdapterUse(use.digest, use.scale) for use in drawing.uses),
    )


def _enlarged(picture: Picture, edge: int | None) -> Picture:
    if edge is None or picture.shape[0] == edge:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture, "RGB").resize((edge, edge), Image.Resampling.LANCZOS))
