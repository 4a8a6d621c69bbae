"""The gateway's own client: what servers may say, and what they should not."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from lorry.generation.ports import AnswerCut, NotSent
from lorry.upstream.connection import HEAD_BYTES
from lorry.upstream.direct import DirectUpstream
from lorry.upstream.exchange import READ_AHEAD_BYTES
from lorry.upstream.proxied import ProxiedUpstream, proxies_named
from lorry.upstream.steady import SteadyUpstream
from tests.upstream.serving import OK, saying, serving, whole


@asynccontextmanager
async def direct(seconds: float = 20.0) -> AsyncIterator[DirectUpstream]:
    """Open a client."""
    client = DirectUpstream(seconds)
    try:
        yield client
    finally:
        await client.close()


GOOD = {
    "with a length": b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef",
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\nt: u\r\n\r\n",
    "to its end": b"HTTP/1.0 200 OK\r\n\r\nabcdef",
    "after 100 and 103": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef",
    "without a reason": b"HTTP/1.1 200\r\ncontent-length: 6\r\n\r\nabcdef",
}


@pytest.mark.parametrize("said", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("bites", [1, 7, 10_000])
async def test_an_answer_may_come_in_every_form_and_in_any_pieces(said: bytes, bites: int) -> None:
    """Of each form of HTTP/1 the same body is read, however the bytes are cut; interim heads are skipped."""

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        for start in range(0, len(said), bites):
            writer.write(said[start : start + bites])
            await writer.drain()
            await asyncio.sleep(0)
        return not said.startswith(b"HTTP/1.0")

    async with serving(answer) as server, direct() as client:
        for _ in range(2):
            async with client.post(server.url, {}, b"{}") as reply:
                assert (reply.status, reply.header("t")) == (200, None)
                assert await whole(reply) == b"abcdef"
        assert server.connections == (2 if said.startswith(b"HTTP/1.0") else 1)


BAD = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "a length beside chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    "no chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz",
    "a long head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 8 * HEAD_BYTES + b"\r\ncontent-length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
}


@pytest.mark.parametrize("said", BAD.values(), ids=BAD)
async def test_what_is_no_answer_is_cut_and_its_connection_closed(said: bytes) -> None:
    """Nothing of it is taken for a whole answer, and the next request goes by another connection."""
    async with serving(saying(said, OK)) as server, direct() as client:
        with pytest.raises(AnswerCut):
            async with client.post(server.url, {}, b"{}") as reply:
                await whole(reply)
        async with client.post(server.url, {}, b"{}") as reply:
            assert await whole(reply) == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize("more", [b"xx", OK, OK[:30]], ids=["bytes", "an answer", "half of one"])
async def test_what_follows_an_answer_is_never_the_next_one(more: bytes) -> None:
    """An answer that nobody asked for, or bytes: the connection is not used again."""
    async with serving(saying(OK + more, OK.replace(b"{}", b"[]"))) as server, direct() as client:
        async with client.post(server.url, {}, b"{}") as reply:
            assert (await reply.read() or b"") == b"{}"
        async with client.post(server.url, {}, b"{}") as reply:
            assert await whole(reply) == b"[]"
        assert server.connections == 2


async def test_a_connection_that_the_server_gives_up_is_not_used_again() -> None:
    """Said in the head, or done while it is idle: no request is lost on it."""
    closing = OK.replace(b"Content-Type", b"Connection: close\r\nContent-Type")
    closed = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter, number: int) -> bool:
        writer.write(closing if number == 1 else OK)
        if number == 2:
            writer.close()
            await writer.wait_closed()
            closed.set()
        return number != 2

    async with serving(answer) as server, direct() as client:
        for number in range(1, 5):
            async with client.post(server.url, {}, b"{}") as reply:
                assert await whole(reply) == b"{}"
            if number == 2:
                await closed.wait()
                for _ in range(10):  # the end of the connection comes to us in a turn of the loop
                    await asyncio.sleep(0)
        assert server.connections == 3


async def test_an_end_that_was_not_read_yet_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that closed an idle connection while the loop was busy gets the request by another one."""
    monkeypatch.setattr("lorry.upstream.direct._FRESH", 0.0)
    ends: list[int] = []

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(OK)
        ends.append(os.dup(writer.get_extra_info("socket").fileno()))
        return True

    async with serving(answer) as server, direct() as client:
        async with client.post(server.url, {}, b"{}") as reply:
            assert await whole(reply) == b"{}"
        with socket.socket(fileno=ends[0]) as end:
            end.shutdown(socket.SHUT_RDWR)  # and the loop has no turn in which it could notice
        async with client.post(server.url, {}, b"{}") as reply:
            assert await whole(reply) == b"{}"
        os.close(ends[1])
        assert server.connections == 2


async def test_how_long_a_server_keeps_idle_connections_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that closed an idle connection gets no request on one that has been idle nearly as long."""
    monkeypatch.setattr("lorry.upstream.direct._FRESH", 0.0)
    monkeypatch.setattr("lorry.upstream.direct._SHARE", 0.0)  # nearly as long is then: at all
    ends: list[asyncio.StreamWriter] = []

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        writer.write(OK)
        ends.append(writer)
        return True

    async with serving(answer) as server, direct() as client:
        for number in range(1, 4):
            async with client.post(server.url, {}, b"{}") as reply:
                assert await whole(reply) == b"{}"
            if number == 1:
                ends[0].close()
                [origin] = client._origins.values()
                while origin._all:  # noqa: ASYNC110 - its end comes to us in a turn of the loop
                    await asyncio.sleep(0)
            assert server.connections == number


@pytest.mark.parametrize("chunked", [True, False])
async def test_what_nobody_reads_stays_with_the_server(chunked: bool) -> None:
    """Of a large answer no more is held here than may wait and one piece of the socket's."""
    size = 32 * 2**20
    sent = 0

    async def answer(writer: asyncio.StreamWriter, _number: int) -> bool:
        nonlocal sent
        framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % size
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(size // 2**16):
            piece = bytes(2**16)
            writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            sent += len(piece)
        writer.write(b"0\r\n\r\n" if chunked else b"")
        return True

    async with serving(answer) as server, direct() as client:
        for _ in range(2):
            async with client.post(server.url, {}, b"{}") as reply:
                before, sent = -1, 0
                while sent != before:  # until the server can't write any more
                    before = sent
                    for _ in range(1000):
                        await asyncio.sleep(0)
                assert sent < size / 2
                assert reply._size <= READ_AHEAD_BYTES + 2**18
                assert len(await whole(reply)) == size
        assert server.connections == 1


async def test_a_time_limit_holds_for_the_body_too() -> None:
    """An answer that begins and never ends is cut, also when its head said no length."""
    for framing in (b"content-length: 9\r\n", b""):

        async def answer(writer: asyncio.StreamWriter, _number: int, framing: bytes = framing) -> bool:
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nabc")
            await asyncio.Event().wait()
            return False

        async with serving(answer) as server, direct(0.2) as client:
            with pytest.raises(AnswerCut, match=r"not whole after 0\.2 s"):
                async with client.post(server.url, {}, b"{}") as reply:
                    await whole(reply)


async def test_closing_ends_what_is_under_way() -> None:
    """A request that waits for its answer is cut, and says so."""
    arrived = asyncio.Event()

    async def answer(_writer: asyncio.StreamWriter, _number: int) -> bool:
        arrived.set()
        await asyncio.Event().wait()
        return False

    async with serving(answer) as server:
        client = DirectUpstream(20)

        async def ask() -> None:
            async with client.post(server.url, {}, b"{}"):
                pass

        task = asyncio.create_task(ask())
        await arrived.wait()
        await client.close()
        with pytest.raises(AnswerCut, match="closed before the answer"):
            await task


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/x", {}),
        ("http:///x", {}),
        ("http://[x", {}),
        ("http://127.0.0.1:1/", {"a": "b\r\nc: d"}),
        ("http://127.0.0.1:1/", {"a\n": "b"}),
        ("http://127.0.0.1:1/", {"a": "€"}),
    ],
)
async def test_what_can_t_be_sent_is_not_sent(url: str, headers: dict[str, str]) -> None:
    """No address, or a header that would be two: nothing leaves."""
    async with direct() as client:
        with pytest.raises(NotSent):
            async with client.post(url, headers, b"{}"):
                pass


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_server_proves_who_it_is(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS only whom the system trusts (SSL_CERT_FILE) gets a request; others get nothing of it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if trusted:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with serving(saying(OK, OK), context) as server, direct() as client:
        if not trusted:
            with pytest.raises(NotSent, match="certificate"):
                async with client.post(server.url, {}, b"{}"):
                    pass
            return
        for _ in range(2):
            async with client.post(server.url, {}, b"x" * 2**20) as reply:
                assert await whole(reply) == b"{}"
        assert server.connections == 1


async def test_a_proxy_is_passed_but_not_on_the_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What HTTP_PROXY names gets the requests for others, loopback and NO_PROXY excepted."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not proxies_named()
    async with serving(saying(*[OK] * 4)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "inner.test")
        assert proxies_named()
        client = ProxiedUpstream(DirectUpstream(20), SteadyUpstream(20, proxies=True))
        async with client.post("http://lorry.test/v1", {}, b"{}") as reply:
            assert await whole(reply) == b"{}"
        async with client.post(proxy.url, {}, b"{}") as reply:
            assert await whole(reply) == b"{}"
        with pytest.raises(NotSent):
            async with client.post("http://inner.test/v1", {}, b"{}"):
                pass
        await client.close()
        assert [head.split()[1] for head in proxy.heads] == [b"http://lorry.test/v1", b"/v1"]
