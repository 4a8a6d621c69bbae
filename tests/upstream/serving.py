"""A server on loopback that says what a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from lorry.generation.ports import Reply

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Server:
    """A server on loopback that answers with bytes of a test's choice, and counts what it got."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    readers: list[asyncio.StreamReader] = field(default_factory=list)


@asynccontextmanager
async def serving(
    answer: Callable[[asyncio.StreamWriter, int], Awaitable[bool]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Run one; `answer` writes to each request (counted from 1) and says whether the connection stays."""
    server = Server("")
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        server.connections += 1
        server.readers.append(reader)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                server.heads.append(head)
                if not await answer(writer, len(server.heads)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            talks.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    where = "https://localhost" if tls else "http://127.0.0.1"
    server.url = f"{where}:{listener.sockets[0].getsockname()[1]}/v1"
    async with listener:
        yield server
        left = [task for task in talks if task.cancel()]
        await asyncio.gather(*left, return_exceptions=True)


def saying(*answers: bytes) -> Callable[[asyncio.StreamWriter, int], Awaitable[bool]]:
    """Answer the requests one after the other so, and keep the connections."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> bool:
        writer.write(answers[number - 1])
        return True

    return answer


async def whole(reply: Reply) -> bytes:
    """Read a body to its end."""
    pieces = []
    while (piece := await reply.read()) is not None:
        pieces.append(bytes(piece))
    return b"".join(pieces)
