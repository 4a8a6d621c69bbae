"""The embedded engine as a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lorry.settings import Settings


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What `lorry engine` is told beside the settings.

    Attributes:
        renderer: Name of the renderer; the setting's when `None`.
        base: Public id of the base; the setting's when `None`.
        base_folder: Where it lies; the setting's when `None`.
        pace: How fast states advance (`at-once`, `looks:N`, `seconds:T`).
        hardware: The set of hardware that its catalog offers (`local`, `together`).
        v1: Whether endpoints of the API's first version can be made.
        replicas: How many replicas draw on Ray (`2`, `1-8`); this process draws when `None`.
    """

    renderer: str | None = None
    base: str | None = None
    base_folder: Path | None = None
    pace: str = "at-once"
    hardware: str = "local"
    v1: bool = False
    replicas: str | None = None


def serve_engine(
    settings: Settings,
    options: EngineOptions,
    *,
    host: str,
    port: int,
    stop_with_stdin: bool,
    announce: Callable[[str], None],
) -> None:
    """Run the embedded engine in this process until it is told to stop.

    Args:
        settings: The settings.
        options: What it is told beside them.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        stop_with_stdin: End when standard input closes.
        announce: Called with the address once it answers.

    Raises:
        OptionInvalid: There is no such renderer, base, pace or number of replicas.
        ExtraMissing: It needs an extra that is not installed.
        LorryError: The engine can't begin; see `lorry.engine.server.serve`.
    """
    from lorry.engine.config import EngineConfig
    from lorry.engine.drawing.room import Room
    from lorry.engine.pace import Pace
    from lorry.wiring.drawing import drawing_of, opening_of

    chosen = replace(
        settings,
        renderer=options.renderer or settings.renderer,
        base=options.base or settings.base,
        base_folder=options.base_folder or settings.base_folder,
    )
    config = EngineConfig(
        home=chosen.home,
        threads=chosen.threads,
        api_key=chosen.engine_key,
        pace=Pace.parse(options.pace),
        hardware=options.hardware,
        v1=options.v1,
        base=chosen.base,
        room=Room(
            device=int(chosen.adapters_device * 2**20),
            host=int(chosen.adapters_host * 2**20),
            disk=int(chosen.adapters_disk * 2**20),
        ),
    )
    drawing = drawing_of(config, opening_of(chosen), options.replicas)
    try:
        # Only now: while this is imported, the renderer is being opened.
        from lorry.engine.server import serve

        serve(config, drawing, host, port, announce=announce, stop_with_stdin=stop_with_stdin)
    finally:
        drawing.close()
