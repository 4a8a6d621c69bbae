"""The embedded engine as a process."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lorry.errors import ExtraMissing, OptionInvalid
from lorry.settings import Settings

if TYPE_CHECKING:
    from lorry.engine.config import EngineConfig
    from lorry.engine.drawing.port import ImageServing


def serve_engine(
    settings: Settings,
    *,
    host: str,
    port: int,
    renderer: str | None,
    pace: str,
    hardware: str,
    v1: bool,
    replicas: str | None,
    stop_with_stdin: bool,
    announce: Callable[[str], None],
) -> None:
    """Run the embedded engine in this process until it is told to stop.

    Args:
        settings: The settings.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        renderer: Name of the renderer; the setting's when `None`.
        pace: How fast states advance (`at-once`, `looks:N`, `seconds:T`).
        hardware: The set of hardware that its catalog offers (`local`, `together`).
        v1: Whether endpoints of the API's first version can be made.
        replicas: How many replicas draw on Ray (`2`, `1-8`); this process draws when `None`.
        stop_with_stdin: End when standard input closes.
        announce: Called with the address once it answers.

    Raises:
        OptionInvalid: There is no such renderer.
        ExtraMissing: It needs an extra that is not installed.
        LorryError: The engine can't begin; see `lorry.engine.server.serve`.
    """
    from lorry.engine.config import EngineConfig
    from lorry.engine.drawing.room import Room
    from lorry.engine.pace import Pace

    chosen = replace(settings, renderer=renderer) if renderer else settings
    config = EngineConfig(
        home=chosen.home,
        renderer=chosen.renderer,
        threads=chosen.threads,
        api_key=chosen.engine_key,
        pace=Pace.parse(pace),
        hardware=hardware,
        v1=v1,
        room=Room(
            device=int(chosen.adapters_device * 2**20),
            host=int(chosen.adapters_host * 2**20),
            disk=int(chosen.adapters_disk * 2**20),
        ),
    )
    drawing = _drawing(config) if replicas is None else _on_ray(config, replicas)
    try:
        # Only now: while this is imported, the renderer is being opened.
        from lorry.engine.server import serve

        serve(config, drawing, host, port, announce=announce, stop_with_stdin=stop_with_stdin)
    finally:
        drawing.close()


def _drawing(config: EngineConfig) -> ImageServing:
    """Give what the engine draws with; the embedded renderer begins to open at once."""
    from lorry.engine.drawing.serving import Serving
    from lorry.engine.renderers import open_renderer, require_renderer

    require_renderer(config.renderer)
    serving = Serving(lambda: open_renderer(config.renderer, config.threads), config.room)
    if config.renderer == "onnx":  # torch would hold up the server's own beginning
        serving.warm_up()
    return serving


def _on_ray(config: EngineConfig, replicas: str) -> ImageServing:
    """Give replicas on Ray Serve."""
    from importlib.util import find_spec

    from lorry.engine.renderers import open_renderer, require_renderer

    least, most = _range(replicas)
    require_renderer(config.renderer)
    if find_spec("ray") is None:
        raise ExtraMissing(
            "Replicas run on Ray, which this installation lacks.",
            fix="Run `pip install 'lorry[ray]'`, or leave `--ray` out.",
            evidence={"missing": ["ray"]},
        )
    from lorry.engine.ray import Fleet, RayServing

    renderer, threads = config.renderer, config.threads
    return RayServing(
        str(config.home),
        lambda: open_renderer(renderer, threads),
        Fleet(least, most, threads),
        config.room,
    )


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
