"""Open a renderer by name; the heavy imports happen here and no earlier."""

from __future__ import annotations

from lorry.engine.renderers.port import Renderer
from lorry.errors import OptionInvalid


def open_renderer(name: str = "onnx", threads: int | None = None) -> Renderer:
    """Open a renderer.

    Args:
        name: ``onnx`` (the default, no torch) or ``diffusers`` (the reference).
        threads: cores for one picture; None takes all.

    Raises:
        OptionInvalid: no renderer has this name.
        ExtraMissing: the renderer needs an extra that is not installed.
    """
    if name == "onnx":
        from lorry.engine.renderers.onnx import OnnxRenderer

        return OnnxRenderer(threads)
    if name == "diffusers":
        from lorry.engine.renderers.reference import DiffusersRenderer

        return DiffusersRenderer(threads)
    raise OptionInvalid(f"there is no renderer {name!r}", fix="Choose `onnx` or `diffusers`.")
