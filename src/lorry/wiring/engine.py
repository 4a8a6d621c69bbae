"""The embedded engine as a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

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
    drawing = _drawing(config)
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
