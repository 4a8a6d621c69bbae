"""Run the server as a process: bind, open the rooms, answer, leave cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn

from lorry.errors import OptionInvalid
from lorry.listening import IDLE_SECONDS, bind, is_own, quiet_signals, url_of
from lorry.server.asgi import Receive, Scope, Send
from lorry.server.front import build_front
from lorry.server.pages.rendering import warm
from lorry.server.protocol import GuardedProtocol, sweep
from lorry.server.rooms import Rooms

#: How long requests that are being answered may take to end once the server is told to stop, seconds.
GRACE_SECONDS = 30

#: Port of the server unless told otherwise.
SERVER_PORT = 8700


class Server(uvicorn.Server):
    """A server that opens its rooms in its own loop, and says when it answers.

    Args:
        rooms: Opens what it works with.
        answering: Called once connections are taken, with what it works with.
    """

    def __init__(
        self,
        rooms: Callable[[], AbstractAsyncContextManager[Rooms]],
        answering: Callable[[Rooms], None],
    ) -> None:
        self._open = rooms
        self._answering = answering
        self._rooms: Rooms | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        super().__init__(
            uvicorn.Config(
                self._live,
                interface="asgi3",
                proxy_headers=False,
                http=GuardedProtocol,
                loop="uvloop",
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=IDLE_SECONDS,
                server_header=False,
                ws="none",
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_worth_telling)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take connections, then say so."""
        await super().startup(sockets)
        if self.started and self._rooms is not None:
            self._sweeping = asyncio.create_task(sweep(self.server_state.connections))
            self._warming = asyncio.create_task(asyncio.to_thread(warm))
            _spare_collector()
            self._answering(self._rooms)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, after what is being answered."""
        if self._sweeping is not None and self._warming is not None:
            self._sweeping.cancel()
            await self._warming
        if self._rooms is not None:
            self._rooms.desk.streams.close()
        await super().shutdown(sockets)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak the lifespan protocol; once the rooms are open, connections go to the front."""
        assert scope["type"] == "lifespan"  # noqa: S101 - nothing else comes before the rooms are open
        await receive()
        stage = "startup"
        try:
            async with self._open() as self._rooms:
                self.config.loaded_app = build_front(self._rooms)
                await send({"type": "lifespan.startup.complete"})
                stage = "shutdown"
                await receive()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told by who runs the server
            self.failed = error  # `run_server` raises it, for its own sentence instead of a traceback
            await send({"type": f"lifespan.{stage}.failed", "message": ""})
            return
        await send({"type": "lifespan.shutdown.complete"})

    failed: BaseException | None = None


#: What uvicorn says of others: a broken request is told to whoever sent it, and an answer that is left
#: unfinished is how one is broken off that the platform broke off. A scanner would fill the log with these.
_OTHERS = (
    "Invalid HTTP request",
    "without completing response",
    "Unsupported upgrade",
    "startup failed",  # told by the error itself, as the next is
    "shutdown failed",
)


def _worth_telling(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in _OTHERS)


def _spare_collector() -> None:
    """Have the garbage collector leave alone what stays, and come less often.

    Requests leave hardly any cycles behind, and by default it would look through what they use a hundred
    times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def refuse_open_door(host: str, *, guarded: bool) -> None:
    """Refuse to be open to others without tokens.

    Args:
        host: Where it listens.
        guarded: Whether there are tokens.

    Raises:
        OptionInvalid: It would be.
    """
    if guarded or is_own(host):
        return
    raise OptionInvalid(
        f"The server would be open to everybody who reaches {host}: no token was made yet, so it would take "
        "any request and spend your credit.",
        fix="Make one with `lorry token create --scope admin`, or leave `--host` out to listen at 127.0.0.1.",
        evidence={"host": host},
    )


def run_server(
    rooms: Callable[[], AbstractAsyncContextManager[Rooms]],
    host: str,
    port: int,
    announce: Callable[[str, Rooms], None],
) -> None:
    """Run the server until it is told to stop (SIGINT or SIGTERM).

    Args:
        rooms: Opens what it works with.
        host: Address to listen at.
        port: Port to listen at; 0 takes any free one.
        announce: Called with its URL once it answers.

    Raises:
        PortTaken: Something else listens there.
        LorryError: A room can't be opened.
    """
    listener = bind(host, port)
    try:
        url = url_of(host, listener)
        server = Server(rooms, lambda opened: announce(url, opened))
        with quiet_signals(), contextlib.suppress(SystemExit):  # uvicorn's way out of a failed start
            server.run(sockets=[listener])
        if server.failed is not None:
            raise server.failed
    finally:
        listener.close()
