"""What the embedded engine draws with: in its own process, or on replicas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorry.errors import ExtraMissing, OptionInvalid
from lorry.settings import OWN_BASE, Settings

if TYPE_CHECKING:
    from lorry.engine.config import EngineConfig
    from lorry.engine.drawing.port import ImageServing
    from lorry.engine.renderers.pipeline_opening import Base
    from lorry.engine.renderers.port import Renderer


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens what draws; travels to other machines.

    Attributes:
        renderer: Name of the renderer of the base that comes along.
        threads: Its threads.
        base: Another base, where there is one.
    """

    renderer: str
    threads: int | None
    base: Base | None = None

    def __call__(self) -> Renderer:
        """Open it."""
        if self.base is None:
            from lorry.engine.renderers import open_renderer

            return open_renderer(self.renderer, self.threads)
        from lorry.engine.renderers.pipelines import PipelineRenderer

        return PipelineRenderer(self.base)


def opening_of(settings: Settings) -> Opening:
    """Say what is opened, and make sure that it can be.

    Args:
        settings: The settings.

    Raises:
        OptionInvalid: There is no such renderer.
        ExtraMissing: It needs an extra that is not installed.
    """
    from lorry.engine.renderers import require_renderer
    from lorry.engine.renderers.pipeline_opening import Base, require_base

    if settings.base == OWN_BASE:
        require_renderer(settings.renderer)
        return Opening(settings.renderer, settings.threads)
    base = Base(
        settings.base,
        settings.base_folder,
        settings.precision,
        settings.quantise,
        settings.compile,
        settings.hub_token,
    )
    require_base(base)
    return Opening(settings.renderer, settings.threads, base)


def drawing_of(config: EngineConfig, opening: Opening, replicas: str | None) -> ImageServing:
    """Give what the engine draws with; the embedded renderer begins to open at once.

    Args:
        config: What the engine is told.
        opening: What is opened.
        replicas: How many replicas draw on Ray (`2`, `1-8`); this process draws when `None`.

    Raises:
        OptionInvalid: That is no number of replicas.
        ExtraMissing: Ray is not installed.
        EngineError: The replicas did not begin.
    """
    if replicas is not None:
        return _on_ray(config, opening, replicas)
    from lorry.engine.drawing.serving import Serving

    serving = Serving(opening, config.room)
    if opening.base is None and opening.renderer == "onnx":  # torch would hold up the server's own beginning
        serving.warm_up()
    return serving


def _on_ray(config: EngineConfig, opening: Opening, replicas: str) -> ImageServing:
    """Give replicas on Ray Serve."""
    from importlib.util import find_spec

    least, most = _range(replicas)
    if find_spec("ray") is None:
        raise ExtraMissing(
            "Replicas run on Ray, which this installation lacks.",
            fix="Run `pip install 'lorry[ray]'`, or leave `--ray` out.",
            evidence={"missing": ["ray"]},
        )
    from lorry.engine.ray import Fleet, RayServing

    return RayServing(str(config.home), opening, Fleet(least, most, config.threads), config.room)


def _range(text: str) -> tuple[int, int]:
    """Read a number of replicas, or a range of them."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?", text.strip())
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if least > most:
        raise OptionInvalid(
            f"{text!r} is no number of replicas.",
            fix="Write a number such as `--replicas 2`, or a range such as `--replicas 1-8`.",
            evidence={"replicas": text},
        )
    return least, most
