"""Whatever comes in, the answer is clear, all problems are named at once, and the server goes on."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server.ground import Places, gate, place, settings_of
from tests.server.running import running_gateway


async def test_all_problems_are_named_at_once(home: Path) -> None:
    """Types, limits, what is missing and what does not go together."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        body = {"model": 3, "prompt": " ", "n": 99, "seed": -1, "steps": 10**30, "sclae": 1, "format": "bmp"}
        error = (await here.post("/api/generate", body)).json()["error"]
        assert error["code"] == "body_invalid"
        named = {problem.split(":")[0] for problem in error["evidence"]["problems"]}
        assert named >= {"model", "prompt", "n", "seed", "steps", "format"}
        assert "did you mean 'scale'?" in error["message"]
        error = (await here.generate(size="64x64", width=64)).json()["error"]
        assert error["message"] == ("Size is given beside width or height; one of the two says it.")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b'{"model":"tok","prompt":"x","seed":1e400}', "seed"),
        (b'{"model":"tok","prompt":"x","n":NaN}', "no JSON"),
        (b'{"model":"tok","prompt":"' + b"x" * 10_001 + b'"}', "prompt"),
        (b'{"model":"' + b"x" * 200 + b'","prompt":"x"}', "model"),
    ],
)
async def test_broken_bodies_are_named(home: Path, content: bytes, says: str) -> None:
    """In every form, with the field or the fault; nothing is sent anywhere."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        for path in ("/api/generate", "/v1/images/generations", "/api/generations"):
            got = await here.client.post(path, content=content)
            assert (got.status_code, got.json()["error"]["code"]) == (400, "body_invalid")
            assert says.lower() in got.json()["error"]["message"].lower()
        got = await here.client.post("/v1/chat/completions", content=b'{"model":"tok","messages":[]}')
        assert got.status_code == 400
        assert here.places.sent == []


async def test_sizes_name_the_nearest_valid_one(home: Path) -> None:
    """By the route: the engine draws squares, Together does not."""
    settings = settings_of(home)
    await place(settings, "tok")
    await place(settings, "far", "together-merged")
    async with gate(settings) as here:
        for model, size, nearest in (
            ("tok", "512x256", "384x384"),
            ("tok", "30x30", "64x64"),
            ("far", "1000x1001", "1000x1000"),
            ("far", "8000x10", "1920x256"),
        ):
            error = (await here.images(model, size=size)).json()["error"]
            assert error["evidence"]["nearest"] == nearest
            assert nearest in error["message"]


async def test_bodies_that_are_too_large_are_refused_unread(home: Path) -> None:
    """100 MB are not taken, whether their length is told or not."""
    settings = settings_of(home, body_limit="1")
    await place(settings, "tok")
    async with gate(settings) as here:
        got = await here.client.post("/api/generate", content=b"x" * 100_000_000)
        assert (got.status_code, got.json()["error"]["code"]) == (413, "body_too_large")

        async def pieces() -> object:
            for _ in range(40):
                yield b"x" * 65_536

        got = await here.client.post("/api/generate", content=pieces())  # type: ignore[arg-type]
        assert (got.status_code, got.json()["error"]["code"]) == (413, "body_too_large")


async def test_keys_paths_and_methods_that_do_not_exist(home: Path) -> None:
    """An idempotency key that is none, a path, a method: each a clear error in the one shape."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        got = await here.generate(headers={"idempotency-key": "x" * 256})
        assert got.json()["error"]["code"] == "body_invalid"
        got = await here.client.get("/api/nothing")
        assert (got.status_code, got.json()["error"]["code"]) == (404, "no_such_path")
        got = await here.client.get("/v1/images/generations")
        assert got.status_code in (404, 405)
        got = await here.client.get("/api/generations?limit=x")
        assert (got.status_code, got.json()["error"]["code"]) == (400, "body_invalid")
        got = await here.client.put("/api/models/tok/policy", json={"asleep": "never", "nope": 1})
        assert got.status_code == 400


@pytest.fixture
def listening(home: Path) -> Iterator[tuple[str, int]]:
    """Run a gateway that listens; give host and port."""
    with running_gateway(settings_of(home), Places()) as url:
        parts = urlsplit(url)
        yield parts.hostname or "", parts.port or 0


def _sent(address: tuple[str, int], content: bytes) -> bytes:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(content)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
            if b"content-length" not in answer.lower() or b"\r\n\r\n" not in answer:
                continue
            head, _, rest = answer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(rest) >= length:
                return answer
        return answer


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"content-length : 5\r\n",
        b"bad header\r\n",
    ],
)
def test_smuggled_requests_are_refused(listening: tuple[str, int], head: bytes) -> None:
    """Two lengths, a length beside chunks, spaces where none belong: 400 and the connection is closed."""
    request = (
        b"POST /api/generate HTTP/1.1\r\nhost: localhost\r\n"
        + head
        + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
    )
    answer = _sent(listening, request)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"status":"ok"' not in answer
    assert httpx.get(f"http://{listening[0]}:{listening[1]}/healthz").json() == {"status": "ok"}


def test_a_head_that_is_too_long_is_refused(listening: tuple[str, int]) -> None:
    """431, whether it is one header or many, and the server goes on."""
    for head in (b"x-a: " + b"a" * 70_000, b"\r\n".join(b"x-%d: a" % n for n in range(10_000))):
        answer = _sent(listening, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + head)
        assert answer.startswith(b"HTTP/1.1 431")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "head_too_large"
    assert httpx.get(f"http://{listening[0]}:{listening[1]}/readyz").status_code == 200


async def test_no_body_is_read_beyond_the_limit(home: Path) -> None:
    """Of no route, whether its length is told or not: 413, and it is not kept in memory meanwhile."""
    settings = settings_of(home, body_limit="0.01")
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b'{"x": "' + b"x" * 10_000

    async with gate(settings) as here:
        for path in (
            "/api/tokens",
            "/api/trainings",
            "/api/generations",
            "/api/routes/mend",
            "/costs/budgets",
        ):
            taken = 0
            headers = {"content-type": "application/json"}
            got = await here.client.post(path, content=endless(), headers=headers)
            assert (got.status_code, got.json()["error"]["code"]) == (413, "body_too_large"), path
            assert taken < 5
