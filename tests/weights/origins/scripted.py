"""A server on loopback that answers what a test tells it, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path with query, and its headers with names in lower case."""

    path: str
    headers: Mapping[str, str]


#: Gives the whole answer, head and body, in pieces.
Answer = Callable[[Asked], Iterable[bytes]]


@dataclass(slots=True)
class Server:
    """What a test sees of it: where it is, what it answers by path, and what it was asked."""

    url: str
    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [each.path for each in self.asked]


@contextmanager
def scripted() -> Iterator[Server]:
    """Serve for the length of a block; a path without an answer is a 404."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = Server(f"http://127.0.0.1:{port}", port)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if server.over.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=_serve, args=(server, connection))
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            with socket.create_connection(("127.0.0.1", port)):
                accepting.join()
            for thread in threads:
                thread.join()


def answer(body: bytes = b"", status: str = "200 OK", *, length: int | None = -1, **headers: str) -> Answer:
    """Answer with a body; `length` is what Content-Length says (`None`: nothing, -1: the truth)."""
    return _answer(body, status, headers, length)


def file(content: bytes, **headers: str) -> Answer:
    """Answer with a file, or with the part of it that is asked for."""

    def give(asked: Asked) -> Iterable[bytes]:
        wanted = asked.headers.get("range", "").removeprefix("bytes=")
        if not wanted:
            return _answer(content, "200 OK", headers)(asked)
        first, _, last = wanted.partition("-")
        begin, end = int(first), min(int(last) + 1, len(content))
        if begin >= len(content):
            told = {**headers, "Content_Range": f"bytes */{len(content)}"}
            return _answer(b"", "416 Range Not Satisfiable", told)(asked)
        told = {**headers, "Content_Range": f"bytes {begin}-{end - 1}/{len(content)}"}
        return _answer(content[begin:end], "206 Partial Content", told)(asked)

    return give


def redirect(target: str, status: str = "302 Found", **headers: str) -> Answer:
    """Send the client elsewhere."""
    return _answer(b"elsewhere", status, {**headers, "Location": target})


def _answer(body: bytes, status: str, headers: Mapping[str, str], length: int | None = -1) -> Answer:
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    head = "\r\n".join([*lines, "", ""]).encode()
    return lambda _asked: [head, body]


def _serve(server: Server, connection: socket.socket) -> None:
    with connection, suppress(OSError):  # a client may leave whenever it likes
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        asked = Asked(first.split(" ")[1], headers)
        server.asked.append(asked)
        path = asked.path.partition("?")[0]
        known = server.answers.get(asked.path) or server.answers.get(path) or answer(b"", "404 Not Found")
        for piece in known(asked):
            connection.sendall(piece)
