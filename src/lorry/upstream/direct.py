"""`Upstream` in the event loop's own thread: nothing of a small request waits for another thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping

import aiohappyeyeballs
import certifi
from yarl import URL

from lorry.generation.ports import NotSent
from lorry.upstream.connection import Connection
from lorry.upstream.exchange import Exchange

#: Seconds until a connection counts as not made.
_CONNECT_SECONDS = 5.0
#: Seconds for which an idle connection is kept at most: less than nginx's 75, so few are closed under us.
_IDLE_SECONDS = 50.0
#: Which part of that time, where a server was seen to close idle ones sooner (uvicorn after 5 s): a request
#: that is sent in the moment in which it does is lost.
_SHARE = 0.8
#: Seconds for which an idle connection is not asked whether the server has closed it: servers wait longer.
_FRESH = 1.0
#: Seconds after which the next address of a name is tried beside the one that does not answer (RFC 8305, 8).
_NEXT_ADDRESS_SECONDS = 0.25


class DirectUpstream:
    """Sends each request once, by connections that are kept.

    Args:
        seconds: What an answer may take in all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._targets: dict[str, tuple[_Origin, bytes]] = {}
        self._origins: dict[tuple[str, str, int], _Origin] = {}
        self._trust: ssl.SSLContext | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Send a request once."""
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = self._target(url)  # parsed once: there are few addresses
        origin, start = target
        content = b"%s%scontent-length: %d\r\n\r\n%s" % (start, _written(headers), len(body), body)
        return Exchange(self._loop, origin, content, self._seconds)

    async def close(self) -> None:
        """Close its connections."""
        for origin in self._origins.values():
            await origin.close()

    def _target(self, url: str) -> tuple[_Origin, bytes]:
        try:
            read = URL(url)
        except ValueError as error:
            raise NotSent(f"{url} is no address: {error}") from error
        if read.scheme not in ("http", "https") or read.raw_host is None or read.port is None:
            raise NotSent(f"{url} is no address of a server")
        key = (read.scheme, read.raw_host, read.port)
        origin = self._origins.get(key)
        if origin is None:
            trust = self._trusting() if read.scheme == "https" else None
            origin = self._origins[key] = _Origin(self._loop, read.raw_host, read.port, trust)
        start = (
            f"POST {read.raw_path_qs} HTTP/1.1\r\nhost: {read.host_port_subcomponent}\r\n"
            "user-agent: lorry\r\naccept: */*\r\n"
        )
        return origin, start.encode("ascii")

    def _trusting(self) -> ssl.SSLContext:
        """Trust whom the system trusts, and whom Mozilla does: not every Python finds the system's list."""
        if self._trust is None:
            self._trust = ssl.create_default_context()
            self._trust.load_verify_locations(certifi.where())
        return self._trust


def _written(headers: Mapping[str, str]) -> bytes:
    head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if head.count("\r") != len(headers) or head.count("\n") != len(headers):
        raise NotSent("a header has a line break in it")
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError as error:
        raise NotSent("a header has a character in it that HTTP has not") from error


class _Origin:
    """A server, and the connections to it that are kept.

    Args:
        loop: The event loop.
        host: Its name or address.
        port: Its port.
        trust: How it proves who it is; `None` without TLS.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, host: str, port: int, trust: ssl.SSLContext | None
    ) -> None:
        self._loop, self._host, self._port, self._trust = loop, host, port, trust
        self._idle: list[Connection] = []  # the one used last is the last
        self._all: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._most_idle = _IDLE_SECONDS
        self._closing: asyncio.Event | None = None  # set when the last connection says that it has ended

    def take(self) -> Connection | None:
        """Give a connection that is open and idle; `None` when there is none."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            idle = now - connection.idle_since
            if not connection.usable:
                continue
            if idle < _FRESH or (idle < self._most_idle and connection.quiet()):
                return connection
            connection.abort()
        return None

    async def connect(self) -> Connection:
        """Make a connection.

        Raises:
            NotSent: None can be made.
        """
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._connected()
        except TimeoutError as error:
            raise NotSent(f"no connection to {self._host} within {_CONNECT_SECONDS:g} s") from error
        except OSError as error:
            raise NotSent(str(error)) from error

    async def _connected(self) -> Connection:
        found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=self._loop
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._freed, self._lost),
                sock=sock,
                ssl=self._trust,
                server_hostname=self._host if self._trust else None,
            )
        except BaseException:
            sock.close()
            raise
        self._all.add(connection)
        return connection

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in self._all:
            connection.abort()
        if self._all:
            self._closing = asyncio.Event()
            await self._closing.wait()

    def _freed(self, connection: Connection) -> None:
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_IDLE_SECONDS, self._sweep)

    def _lost(self, connection: Connection, idle: bool) -> None:
        self._all.discard(connection)
        age = self._loop.time() - connection.idle_since
        if idle and connection.idle_since and age >= _FRESH:
            self._most_idle = min(self._most_idle, age * _SHARE)
        if self._closing is not None and not self._all:
            self._closing.set()

    def _sweep(self) -> None:
        """Close what was idle for too long; come again while there is any."""
        before = self._loop.time() - _IDLE_SECONDS
        while self._idle and self._idle[0].idle_since <= before:
            self._idle.pop(0).abort()
        again = self._idle[0].idle_since - before if self._idle else None
        self._sweeping = None if again is None else self._loop.call_later(again, self._sweep)
