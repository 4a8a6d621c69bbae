"""`lorry engine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.settings import ENGINE_PORT


def engine(
    *,
    port: int = ENGINE_PORT,
    host: str = "127.0.0.1",
    renderer: str | None = None,
    base: str | None = None,
    base_folder: Path | None = None,
    pace: str = "at-once",
    hardware: str = "local",
    v1: Annotated[bool, Parameter(negative="")] = False,
    ray: Annotated[bool, Parameter(negative="")] = False,
    replicas: str = "1",
    stop_with_stdin: Annotated[bool, Parameter(show=False, negative="")] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Run the embedded platform: a server that speaks Together's API and the Hub's, and really generates.

    Its state lies in the home, so that it survives a restart. Stop it with Ctrl-C.

    Args:
        port: Where to listen; 0 takes any free port. Commands on the same home find it by themselves.
        host: Address to listen on. Anything but loopback opens the engine to the network: set
            LORRY_ENGINE_KEY then.
        renderer: What to draw with: onnx, or diffusers (the reference; needs the extra of that name).
        base: Public id of the base model to draw with instead of the one that comes along, such as
            black-forest-labs/FLUX.1-dev (needs the extra `diffusers`); its weights come from `--base-folder`
            or from the Hub.
        base_folder: Folder that holds this base, as diffusers saves a pipeline.
        pace: How fast states advance: at-once, looks:N (after N looks) or seconds:T.
        hardware: What the catalog offers: local, or together to rehearse Together's hardware and its prices
            (nothing is billed, and this machine does the work).
        v1: Let endpoints of the API's first version be made, which Together refuses.
        ray: Draw on replicas that Ray Serve runs (needs the extra `ray`): on this machine, or on the cluster
            that RAY_ADDRESS names. Everything else stays here, and so does the address.
        replicas: How many: a number, or 1-8 for as many between as what is asked needs.
        stop_with_stdin: End when standard input closes, so that a parent never leaves an engine behind.
    """
    from lorry.wiring.engine import EngineOptions, serve_engine

    settings = common.settings()

    def announce(url: str) -> None:
        print(f"The engine answers at {url}", flush=True)  # noqa: T201 - the door prints
        print(f"Its state lies in {settings.home / 'engine'}. Stop it with Ctrl-C.", flush=True)  # noqa: T201

    options = EngineOptions(renderer, base, base_folder, pace, hardware, v1, replicas if ray else None)
    serve_engine(settings, options, host=host, port=port, stop_with_stdin=stop_with_stdin, announce=announce)
