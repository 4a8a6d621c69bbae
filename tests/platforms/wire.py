"""What a server of the tests is made of: requests, refusals, a port, and a line that can break."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

Json = dict[str, Any]


class No(Exception):
    """A refusal: status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def rpc(status: int, message: str) -> No:
    """Refuse in the form of `/v2`."""
    return No(status, {"code": 5, "message": message, "details": []})


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body as an object."""
        value = json.loads(self.body or b"{}")
        assert isinstance(value, dict)
        return value


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free loopback port; gives its address."""
    # By the protocol's name: asyncio turns Nagle's algorithm off only for sockets that say TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # takes connections before the server looks at them
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Line:
    """A TCP line to a server; `losing` begins to swallow what the server answers."""

    url: str = ""
    losing: bool = False


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """Open a line to a server on loopback."""
    port = int(url.rpartition(":")[2])
    line = Line()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def up() -> None:
            while block := await reader.read(65536):
                back.write(block)

        async def down() -> None:
            while block := await there.read(65536):
                if line.losing:
                    break
                writer.write(block)
            writer.close()

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        await tasks[1]
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        back.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
