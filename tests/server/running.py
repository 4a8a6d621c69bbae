"""A gateway that listens, in a thread: for clients that want a real connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from lorry.generation.ports import Upstream
from lorry.listening import bind
from lorry.server.rooms import Rooms
from lorry.server.serving import Server
from lorry.settings import Settings
from lorry.wiring.gateway import open_rooms

_START_SECONDS = 30


@contextmanager
def running_gateway(settings: Settings, upstream: Upstream | None = None, *, port: int = 0) -> Iterator[str]:
    """Run a gateway for the length of a block; give its address."""
    listener = bind("127.0.0.1", port)
    answering = threading.Event()

    def rooms() -> AbstractAsyncContextManager[Rooms]:
        return open_rooms(settings, upstream=upstream)

    server = Server(rooms, lambda _rooms: answering.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="lorry-serve")
    thread.start()
    try:
        if not answering.wait(_START_SECONDS):
            raise TimeoutError("the gateway did not answer")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
