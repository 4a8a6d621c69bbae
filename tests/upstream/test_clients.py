"""Both clients of the hot path hold to one contract: sent once, told what became of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from lorry.generation.ports import AnswerCut, NotSent, Upstream
from lorry.upstream.direct import DirectUpstream
from lorry.upstream.steady import SteadyUpstream
from tests.upstream.serving import OK, serving, whole

CLIENTS: dict[str, Callable[[float], Upstream]] = {"direct": DirectUpstream, "aiohttp": SteadyUpstream}


@asynccontextmanager
async def client_of(name: str, seconds: float = 20.0) -> AsyncIterator[Upstream]:
    """Open a client."""
    client = CLIENTS[name](seconds)
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_request_is_sent_as_it_is_and_its_answer_read(name: str) -> None:
    """Headers and body arrive; status, headers and body come back; the connection is used again."""

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(OK)
        return True

    async with serving(answer) as server, client_of(name) as client:
        for _ in range(3):
            async with client.post(
                server.url, {"authorization": "Bearer k", "x-a": "b"}, b'{"a":1}'
            ) as reply:
                assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
                assert reply.headers()["content-length"] == "2"
                assert await whole(reply) == b"{}"
        assert server.connections == 1
        assert b"bearer k" in server.heads[0].lower()
        assert b"accept-encoding: gzip" not in server.heads[0].lower()


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_body_that_was_read_needs_no_end(name: str) -> None:
    """Who has read as many bytes as the head said may leave; the connection is used again."""

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(OK)
        return True

    async with serving(answer) as server, client_of(name) as client:
        for _ in range(5):
            async with client.post(server.url, {}, b"{}") as reply:
                assert bytes(await reply.read() or b"") == b"{}"
        assert server.connections == 1


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_request_is_never_sent_twice(name: str) -> None:
    """A server that takes it and closes, on a new connection and on a used one, has seen it once."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> bool:
        if number == 1:
            writer.write(OK)
        return number == 1

    async with serving(answer) as server, client_of(name) as client:
        async with client.post(server.url, {}, b"{}") as reply:
            await whole(reply)
        for _ in range(2):
            with pytest.raises(AnswerCut):
                async with client.post(server.url, {}, b"{}") as reply:
                    await whole(reply)
        assert len(server.heads) == 3


@pytest.mark.parametrize("name", CLIENTS)
async def test_refusals_and_redirects_are_answers(name: str) -> None:
    """429, 500 and 302 come as they are; nothing is followed."""
    statuses = [429, 500, 302]

    async def answer(writer: asyncio.StreamWriter, number: int) -> bool:
        status = statuses[number - 1]
        writer.write(b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" % status)
        return True

    async with serving(answer) as server, client_of(name) as client:
        for status in statuses:
            async with client.post(server.url, {}, b"{}") as reply:
                assert (reply.status, reply.header("retry-after")) == (status, "7")
                await whole(reply)
        assert len(server.heads) == 3


@pytest.mark.parametrize("name", CLIENTS)
async def test_nobody_there_is_told_from_an_answer_that_was_lost(name: str) -> None:
    """A port where nothing listens: not sent. Half a head, half a body, silence: cut."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with client_of(name) as client:
        with pytest.raises(NotSent):
            async with client.post(f"http://127.0.0.1:{port}/", {}, b"{}"):
                pass
    halves = [b"HTTP/1.1 200", OK.replace(b"Length: 2", b"Length: 900")]

    async def answer(writer: asyncio.StreamWriter, number: int) -> bool:
        if number <= len(halves):
            writer.write(halves[number - 1])
            return False
        await asyncio.Event().wait()
        return False

    async with serving(answer) as server:
        async with client_of(name) as client:
            for _ in halves:
                with pytest.raises(AnswerCut):
                    async with client.post(server.url, {}, b"{}") as reply:
                        await whole(reply)
        async with client_of(name, 0.2) as client:
            with pytest.raises(AnswerCut):
                async with client.post(server.url, {}, b"{}"):
                    pass


@pytest.mark.parametrize("name", CLIENTS)
async def test_pieces_come_as_they_are_sent(name: str) -> None:
    """Neither the head nor an event waits for what follows it: a reader has each before the next is sent."""
    read = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for piece in (b"abc", b"def"):
            await asyncio.wait_for(read.wait(), 20)
            read.clear()
            writer.write(piece)
            await writer.drain()
        return True

    async with (
        serving(answer) as server,
        client_of(name) as client,
        client.post(server.url, {}, b"{}") as reply,
    ):
        for piece in (b"abc", b"def"):
            read.set()
            assert await reply.read() == piece
        assert await reply.read() is None


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("before_head", [True, False])
async def test_a_request_that_is_called_off_ends_at_the_server(name: str, before_head: bool) -> None:
    """Its connection is closed, at the latest when its head has come, and is never used for another."""
    arrived, called_off, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nabc"
        if not before_head:
            writer.write(head)
        arrived.set()
        await called_off.wait()
        if before_head:
            writer.write(head)
        await server.readers[-1].read()  # to its end, which is the client's
        gone.set()
        return False

    async with serving(answer) as server, client_of(name) as client:

        async def ask() -> None:
            async with client.post(server.url, {}, b"{}") as reply:
                await whole(reply)

        task = asyncio.create_task(ask())
        await arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        called_off.set()
        await asyncio.wait_for(gone.wait(), 20)
