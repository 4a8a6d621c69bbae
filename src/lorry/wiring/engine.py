"""The embedded engine as a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lorry.settings import Settings


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
    """
    from lorry.engine.config import EngineConfig
    from lorry.engine.drawing.room import Room
    from lorry.engine.pace import Pace
    from lorry.engine.server import serve

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
    serve(config, host, port, announce=announce, stop_with_stdin=stop_with_stdin)
