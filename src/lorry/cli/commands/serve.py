"""`lorry serve`."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from lorry.cli.options import Common


def serve(
    *,
    port: int = 8700,
    host: str = "127.0.0.1",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Run the gateway: one address to generate from, that finds the place of each model.

    It speaks `POST /api/generate`, and Together's and OpenAI's API at `/v1`. Without any token it answers to
    this machine alone. Stop it with Ctrl-C: requests that are being answered end first.

    Args:
        port: Where to listen; 0 takes any free port.
        host: Address to listen on. Anything but loopback needs a token: `lorry token create`.
    """
    from lorry.server.rooms import Rooms
    from lorry.server.serving import refuse_open_door, run_server
    from lorry.wiring.gateway import guarded, open_rooms
    from lorry.wiring.tracing import tracer_of

    settings = common.settings()
    tokens = asyncio.run(guarded(settings))
    refuse_open_door(host, guarded=tokens)

    def announce(url: str, rooms: Rooms) -> None:
        count = len(rooms.directory.now.models)
        models = f"{count} model{'s' if count != 1 else ''}"
        lines = [
            f"The gateway answers at {url} for {models}.",
            f"  dashboard       {url}/",
            f"  compatible API  {url}/v1",
        ]
        if not rooms.directory.now.guarded:
            lines.append(
                "No token was made yet, so it answers to this machine alone; `lorry token create` makes one."
            )
        lines.append("Stop it with Ctrl-C.")
        print("\n".join(lines), flush=True)  # noqa: T201 - the door prints

    def rooms() -> AbstractAsyncContextManager[Rooms]:
        return open_rooms(settings, tracer=tracer_of(), keeper=settings.keeper, worker=settings.worker)

    run_server(rooms, host, port, announce)
