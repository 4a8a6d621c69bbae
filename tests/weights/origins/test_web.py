"""Servers that misbehave: each way has an end, a code, and no request that should not have been sent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from lorry.weights.origins.access import Access
from lorry.weights.origins.head import HEAD_BYTES
from lorry.weights.origins.opening import Opened, Unopened, opened
from tests.hub.loopback import free_address
from tests.weights.files import build, icons
from tests.weights.origins.scripted import Asked, Server, answer, file, redirect, scripted

HUB_FILE = "ann/tok:a.safetensors"
RESOLVE = "/ann/tok/resolve/main/a.safetensors"


@pytest.fixture
def open_access() -> Access:
    """Give an access that may ask private addresses, as the setting allows."""
    return Access(allow_private=True, patience=5)


def code(source: str, access: Access) -> str:
    """Give the one code of why a source can't be opened."""
    with opened(source, access) as result:
        assert isinstance(result, Unopened), result
        [found] = result.findings
        assert found.fix
        return found.code


def test_a_file_at_an_address(server: Server, open_access: Access, sound: bytes) -> None:
    """A link to a file is opened by its beginning; a secret in the link is shown nowhere."""
    server.answers["/models/my%20tok.safetensors"] = file(sound)
    url = f"{server.url}/models/my%20tok.safetensors?signature=s3cret"
    with opened(url, open_access) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.deep, result.source.size) == ("my tok.safetensors", False, len(sound))
        assert "s3cret" not in result.path + result.file
        assert [entry.path for entry in result.listing.entries] == ["my tok.safetensors"]
        assert result.listing.text("README.md") == ""
    assert server.paths == ["/models/my%20tok.safetensors?signature=s3cret"]


def test_no_private_address_is_asked_unless_allowed(server: Server) -> None:
    """A name that leads to this machine is refused before anything is sent."""
    access = Access(addresses=lambda *_: ["127.0.0.1"])
    assert code("https://weights.example/a.safetensors", access) == "REMOTE_ADDRESS"
    assert code(f"https://localhost:{server.port}/a", access) == "REMOTE_ADDRESS"
    assert server.asked == []


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:{other}/x", "http://169.254.169.254/latest/meta-data", "http://[::1]:{other}/x",
     "http://[::ffff:127.0.0.1]:{other}/x", "http://localhost:{other}/x", "http://2130706433:{other}/x"],
)  # fmt: skip
def test_a_redirect_into_the_private_network_is_refused(server: Server, hub: Access, target: str) -> None:
    """The Hub of the settings may lie on this machine; nothing that it leads to may."""
    with scripted() as other:
        server.answers[RESOLVE] = redirect(target.format(other=other.port))
        assert code(HUB_FILE, hub) == "REMOTE_ADDRESS"
        assert other.asked == []


@pytest.mark.parametrize(
    "target", ["", "file:///etc/passwd", "ftp://a.example/x", "https://", "http://[", "http://a:99999/"]
)
def test_a_redirect_to_nowhere_is_refused(server: Server, hub: Access, target: str) -> None:
    """A redirect to what is no http address ends the check."""
    server.answers[RESOLVE] = redirect(target)
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"


def test_redirects_end(server: Server, hub: Access, sound: bytes) -> None:
    """Five redirects are followed, a sixth is not; relative ones stay at their server."""
    for number in range(5):
        server.answers[f"/{number}"] = redirect(f"/{number + 1}")
    server.answers["/5"] = file(sound)
    server.answers[RESOLVE] = redirect("/1")
    with opened(HUB_FILE, hub) as result:
        assert isinstance(result, Opened)
    server.answers[RESOLVE] = redirect("/0")
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"


def test_a_token_that_was_dropped_does_not_come_back(server: Server, hub: Access, sound: bytes) -> None:
    """A stranger on the way can't lead the token back to another place of the Hub."""
    server.answers |= {RESOLVE: redirect(f"http://localhost:{server.port}/away"), "/home": file(sound)}
    server.answers["/away"] = redirect(f"{server.url}/home")
    with opened(HUB_FILE, replace(hub, allow_private=True)) as result:
        assert isinstance(result, Opened)
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False, False]


def test_an_address_never_gets_the_token(server: Server, sound: bytes) -> None:
    """The token is for the Hub; a link elsewhere is asked without it."""
    server.answers["/a.safetensors"] = file(sound)
    access = Access(hub_token="hf_secret", allow_private=True)  # noqa: S106 - made up
    with opened(f"{server.url}/a.safetensors", access) as result:
        assert isinstance(result, Opened)
    assert "authorization" not in server.asked[0].headers


def test_a_server_that_ignores_ranges(server: Server, hub: Access, sound: bytes) -> None:
    """A whole file instead of a range is read to the end of its header, then left."""
    server.answers[RESOLVE] = answer(sound)
    with opened(HUB_FILE, hub) as result:
        assert isinstance(result, Opened)
        assert (result.source.size, result.source.reach) == (len(sound), min(len(sound), HEAD_BYTES))
    long = build(icons(), metadata={"notes": "x" * HEAD_BYTES})
    server.answers[RESOLVE] = answer(long)
    with opened(HUB_FILE, hub) as result:
        assert isinstance(result, Opened)
        assert result.source.reach == 8 + int.from_bytes(long[:8], "little")


def test_without_a_length_a_short_body_is_its_own(server: Server, hub: Access, sound: bytes) -> None:
    """A body that ends tells its size by itself; one that goes on without a stated size can't be judged."""
    small = build({"x.lora_A.weight": icons()["transformer.transformer_blocks.0.attn.to_q.lora_A.weight"]})
    server.answers[RESOLVE] = answer(small, length=None)
    with opened(HUB_FILE, hub) as result:
        assert isinstance(result, Opened)
        assert result.source.size == len(small)
    server.answers[RESOLVE] = answer(sound + bytes(HEAD_BYTES), length=None)
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"


@pytest.mark.parametrize(
    "told",
    ["", "bytes 1-262144/400000", "bytes 0-262143/*", "bytes 0-10/400000", "bytes 0-262144/400000",
     "items 0-262143/400000", "bytes 0-262143/9", "bytes -5-262143/400000", "bytes 0-262143/" + "9" * 30],
)  # fmt: skip
def test_another_part_than_was_asked_for(server: Server, hub: Access, told: str) -> None:
    """A range that is not the one that was asked for is never taken for it."""
    server.answers[RESOLVE] = answer(bytes(HEAD_BYTES), "206 Partial Content", Content_Range=told)
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"


def test_a_compressed_answer_is_refused(server: Server, hub: Access, sound: bytes) -> None:
    """Bytes that are not the file's own are not read as if they were."""
    server.answers[RESOLVE] = file(sound, Content_Encoding="gzip")
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"
    server.answers[RESOLVE] = answer(sound, Content_Encoding="br")
    assert code(HUB_FILE, hub) == "REMOTE_REFUSED"


def test_an_answer_that_breaks_off(server: Server, hub: Access, sound: bytes) -> None:
    """Fewer bytes than were announced are a broken answer, in a range and in a whole file."""
    server.answers[RESOLVE] = answer(sound[:1000], length=len(sound))
    assert code(HUB_FILE, hub) == "REMOTE_UNREACHABLE"
    told = f"bytes 0-{HEAD_BYTES - 1}/400000"
    for length in (HEAD_BYTES, None):
        server.answers[RESOLVE] = answer(
            sound[:1000], "206 Partial Content", length=length, Content_Range=told
        )
        assert code(HUB_FILE, hub) == "REMOTE_UNREACHABLE"


def raw(*pieces: bytes) -> Iterable[bytes]:
    """Send bytes that may be no HTTP."""
    return pieces


@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"SSH-2.0-OpenSSH\r\n",), (b"HTTP/1.1 200",), (b"\0" * 200_000,),
     (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,),
     (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",)],
)  # fmt: skip
def test_what_is_no_http(server: Server, hub: Access, pieces: tuple[bytes, ...]) -> None:
    """A server that speaks something else, or nothing, is unreachable for us; memory stays small."""
    server.answers[RESOLVE] = lambda _asked: pieces
    assert code(HUB_FILE, hub) == "REMOTE_UNREACHABLE"


def test_a_body_without_end(server: Server, hub: Access) -> None:
    """No more is read than was asked for, however much comes."""
    sent: list[int] = []

    def endless(_asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-262143/90000000\r\n\r\n"
        for _ in itertools.count():
            sent.append(65536)
            yield bytes(65536)

    server.answers[RESOLVE] = endless
    with opened(HUB_FILE, hub) as result:  # zeros are no weights; the check says so from the bytes
        assert isinstance(result, Opened)
        assert result.source.reach == HEAD_BYTES


def test_a_server_that_does_not_answer(server: Server, hub: Access) -> None:
    """Silence ends after the patience of the access."""

    def silent(_asked: Asked) -> Iterator[bytes]:
        server.over.wait()
        yield b""

    server.answers[RESOLVE] = silent
    assert code(HUB_FILE, replace(hub, patience=0.1)) == "REMOTE_UNREACHABLE"


def test_a_server_that_drips(server: Server, hub: Access) -> None:
    """A server that always sends a little more, and so never runs into the patience, ends with the limit."""
    ticks = itertools.count()

    def dripping(_asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        for _ in range(1_000_000):
            yield b"x"

    server.answers[RESOLVE] = dripping
    access = replace(hub, clock=lambda: float(next(ticks)), limit=20.0)
    with opened(HUB_FILE, access) as result:
        assert isinstance(result, Unopened)
        assert result.findings[0].code == "REMOTE_UNREACHABLE"
        assert "20 s" in result.findings[0].message
    assert next(ticks) < 60


def test_nobody_listens(hub: Access) -> None:
    """A closed port is told with its address."""
    address = free_address()
    with opened("ann/tok", replace(hub, hub_url=address)) as result:
        assert isinstance(result, Unopened)
        assert result.findings[0].code == "REMOTE_UNREACHABLE"
        assert address in result.findings[0].message


def test_a_file_that_is_exchanged_between_two_ranges(server: Server, hub: Access) -> None:
    """Two ranges of two different files are never put together."""
    versions = [
        file(build(icons(), metadata={"notes": letter * HEAD_BYTES}), ETag=f'"{letter}"') for letter in "ab"
    ]
    server.answers[RESOLVE] = lambda asked: versions.pop(0)(asked)
    assert code(HUB_FILE, hub) == "FILE_CHANGED"


def test_a_header_without_end_is_not_fetched(server: Server, hub: Access) -> None:
    """A header beyond every published one takes one request; the check says what is wrong with it."""
    server.answers[RESOLVE] = file((60_000_000).to_bytes(8, "little") + b"{" + bytes(70_000_000))
    with opened(HUB_FILE, hub) as result:
        assert isinstance(result, Opened)
        assert result.source.reach == HEAD_BYTES
    assert len(server.asked) == 1
