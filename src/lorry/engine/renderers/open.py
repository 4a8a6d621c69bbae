"""Open a renderer by name; the heavy imports happen here and no earlier."""

from __future__ import annotations

from importlib.util import find_spec

from lorry.engine.renderers.port import Renderer
from lorry.errors import ExtraMissing, OptionInvalid

#: What each renderer needs beyond the default install (the extra `diffusers`).
_NEEDED = {"onnx": (), "diffusers": ("torch", "diffusers", "peft", "transformers", "accelerate")}


def require_renderer(name: str) -> None:
    """Make sure that a renderer can be opened, without importing anything heavy.

    Args:
        name: ``onnx`` or ``diffusers``.

    Raises:
        OptionInvalid: No renderer has this name.
        ExtraMissing: It needs an extra that is not installed.
    """
    if name not in _NEEDED:
        raise OptionInvalid(f"There is no renderer {name!r}.", fix="Choose `onnx` or `diffusers`.")
    missing = [package for package in _NEEDED[name] if find_spec(package) is None]
    if missing:
        raise ExtraMissing(
            f"The renderer {name!r} needs {', '.join(missing)}, which this installation lacks.",
            fix=f"Run `pip install 'lorry[{name}]'`, or leave `--renderer` out.",
            evidence={"missing": missing},
        )


def open_renderer(name: str = "onnx", threads: int | None = None) -> Renderer:
    """Open a renderer.

    Args:
        name: ``onnx`` (the default, no torch) or ``diffusers`` (the reference).
        threads: cores for one picture; None takes all.

    Raises:
        OptionInvalid: no renderer has this name.
        ExtraMissing: the renderer needs an extra that is not installed.
    """
    require_renderer(name)
    if name == "onnx":
        from lorry.engine.renderers.onnx import OnnxRenderer

        return OnnxRenderer(threads)
    from lorry.engine.renderers.reference import DiffusersRenderer

    return DiffusersRenderer(threads)
