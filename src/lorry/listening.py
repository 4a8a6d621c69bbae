"""Listening on this machine: taking a port, and telling this machine's own callers from others."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from urllib.parse import urlsplit

from lorry.errors import PortTaken

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: Seconds for which a server keeps an idle connection, as nginx does: clients give theirs up after 5 (httpx)
#: to 60, and a server that does so in the very moment in which a request comes loses it.
IDLE_SECONDS = 75


def bind(host: str, port: int) -> socket.socket:
    """Take a port, or say who has it.

    Raises:
        PortTaken: It can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name, not 0: asyncio turns Nagle's algorithm off only for sockets that say TCP, and
    # with it on every small answer waits 40 ms for the acknowledgement of the one before.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A port whose last connections are still in TIME_WAIT is free all the same.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        evidence = {"host": host, "port": port}
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"Another program listens on port {port}.", evidence=evidence) from error
        reason = error.strerror or str(error)
        raise PortTaken(f"Port {port} at {host} can't be opened: {reason}.", evidence=evidence) from error
    return listener


@contextmanager
def quiet_signals() -> Iterator[None]:
    """Let a server that stops at SIGINT and SIGTERM be the only one that hears them, inside a block."""

    # uvicorn stops cleanly and then raises the signal again for whoever was there before; that is this.
    def nothing(signum: int, frame: FrameType | None) -> None:
        pass

    before = {number: signal.signal(number, nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def url_of(host: str, listener: socket.socket) -> str:
    """Give the address under which this machine finds what listens.

    Args:
        host: Where it listens.
        listener: Its socket.
    """
    port = listener.getsockname()[1]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # named, not bound: where this machine itself finds it
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_own(host: str) -> bool:
    """Say whether only this machine reaches an address that is listened at.

    Args:
        host: Name or address.
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether a header `Host` names this machine itself.

    Args:
        host: Name or address, with or without a port.
    """
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:
        return False
