"""The engine as a process: its port, its home, its note, its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lorry.engine.clock import stamp
from lorry.engine.config import EngineConfig
from lorry.engine.discovery import Note, read_note, remove_note, running, write_note
from lorry.engine.drawing.serving import Serving
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.server import serve
from lorry.engine.testing import running_engine
from lorry.engine.together.records import UploadRecord
from lorry.errors import HomeBusy, OptionInvalid, PortTaken
from lorry.listening import bind, is_loopback

#: Starts an engine as `lorry engine` does, and prints its address once it answers.
_PROGRAM = """
import sys
from pathlib import Path
from lorry.engine.config import EngineConfig
from lorry.engine.drawing.serving import Serving
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.server import serve
serve(
    EngineConfig(Path(sys.argv[1])), Serving(FlatRenderer), port=0,
    announce=lambda url: print(url, flush=True),
    stop_with_stdin="stdin" in sys.argv,
)
print("ended", flush=True)
"""


@contextmanager
def engine(home: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run an engine as its own process; give it and its address."""
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(home), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child.stdout, child.stdin:
        try:
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()
            child.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_leaves_a_note_and_ends_cleanly(home: Path, number: signal.Signals) -> None:
    """While it answers the note names it; told to stop, it ends with status 0 and takes the note away."""
    with engine(home) as (child, url):
        with urllib.request.urlopen(f"{url}/health") as answer:  # noqa: S310  # our own loopback address
            assert json.load(answer) == {"status": "ok"}
        assert running(home) == url
        note = read_note(home)
        assert note is not None
        assert note.pid == child.pid
        child.send_signal(number)
        assert child.wait(20) == 0
    assert read_note(home) is None
    assert running(home) is None


def test_it_ends_with_its_standard_input(home: Path) -> None:
    """With `stop_with_stdin` it ends when its parent closes the pipe, or dies."""
    with engine(home, "stdin") as (child, url):
        assert url
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == 0
    assert read_note(home) is None


def test_a_killed_engine_is_not_running_and_can_be_started_again(home: Path) -> None:
    """What SIGKILL leaves behind (note, lock) neither pretends nor blocks."""
    with engine(home) as (child, _):
        child.kill()
        child.wait()
    assert read_note(home) is not None
    assert running(home) is None
    with engine(home) as (_, url):
        assert running(home) == url


def test_a_home_has_one_engine(home: Path) -> None:
    """A second engine on the same home is HomeBusy, and says where the first one is."""
    with engine(home) as (_, url):
        with pytest.raises(HomeBusy) as caught:
            serve(EngineConfig(home), Serving(FlatRenderer), port=0)
        assert caught.value.evidence["url"] == url
        assert running(home) == url


def test_a_taken_port_is_told_with_its_number(home: Path) -> None:
    """When something else listens, it is PortTaken with the number, and the home is untouched."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            serve(EngineConfig(home), Serving(FlatRenderer), port=port)
    assert str(port) in caught.value.message
    assert caught.value.evidence["port"] == port
    assert not home.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_an_open_door_needs_a_key(home: Path, host: str) -> None:
    """An engine that takes any key listens at loopback only."""
    with pytest.raises(OptionInvalid) as caught:
        serve(EngineConfig(home), Serving(FlatRenderer), host=host, port=0)
    assert "LORRY_ENGINE_KEY" in caught.value.fix
    assert not home.exists()


def test_an_address_of_another_machine_can_not_be_bound() -> None:
    """An address that is not ours is told as such and not as a traceback."""
    with pytest.raises(PortTaken, match="can't be opened"):
        bind("192.0.2.1", 0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"url": "http://x", "pid": "a"}'])
def test_a_broken_note_counts_as_none(home: Path, text: str) -> None:
    """Whatever lies in the note's place, nobody is sent anywhere by it."""
    (home / "engine").mkdir(parents=True)
    (home / "engine" / "engine.json").write_text(text)
    assert running(home) is None


def test_a_note_of_a_process_that_lives_but_does_not_listen_counts_as_none(home: Path) -> None:
    """A process id that was given to another program since does not make an engine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    write_note(home, Note(f"http://127.0.0.1:{port}", os.getpid(), "2026-11-02T12:00:00Z"))
    assert running(home) is None
    remove_note(home)
    remove_note(home)
    assert read_note(home) is None


def test_a_reader_never_sees_half_a_note(home: Path) -> None:
    """While the note is written again and again, every reading finds a whole one."""
    write_note(home, Note("http://127.0.0.1:1", 1, "first"))
    done = threading.Event()

    def rewrite() -> None:
        for number in range(200):
            write_note(home, Note("http://127.0.0.1:1", number, "x" * 1000))
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        assert read_note(home) is not None
    writer.join()


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """A connection says that it is TCP, which is what makes asyncio send small answers at once."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:80", "LOCALHOST:1"])
def test_loopback_names_are_answered(host: str) -> None:
    """Every way to write a loopback address counts as one."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "127.0.0.1.example.org", "localhost@example.org", "[", "10.0.0.1"]
)
def test_other_names_are_not(host: str) -> None:
    """Whatever else is written there, a loopback address in another name's clothes included, is none."""
    assert not is_loopback(host)


@pytest.mark.parametrize(("key", "status"), [(None, 403), ("secret", 200)])
def test_other_names_are_refused_without_a_key(home: Path, key: str | None, status: int) -> None:
    """A page that gave its own name our address is answered with 403; with a key the name does not matter."""
    with running_engine(home, api_key=key) as one:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(one.url).port)
        connection.request("GET", "/health", headers={"Host": "example.org"})
        assert connection.getresponse().status == status
        connection.close()


def test_an_upload_that_breaks_off_leaves_nothing(home: Path) -> None:
    """When the sender goes away in the middle of a part, nothing of it stays and the engine goes on."""
    with running_engine(home) as one:
        uploads = one.engine.shelves.uploads
        uploads.put(UploadRecord("up_1", "ml_1", "w", "0" * 32, 1, stamp(one.clock.now())))
        address = urlsplit(one.url)
        with socket.create_connection(("127.0.0.1", address.port or 0)) as connection:
            head = "PUT /uploads/up_1/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 10)
        with urllib.request.urlopen(f"{one.url}/health") as answer:  # noqa: S310
            assert answer.status == 200
    assert [path for path in (home / "engine").rglob("*") if path.parent.name in ("incoming", "up_1")] == []
