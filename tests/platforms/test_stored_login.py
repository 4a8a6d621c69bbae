"""A login that `tg login` stored is never used: an audit hook lists every connection of a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.platforms.probing.service import KEY, Service
from tests.platforms.wire import serving

STORED = "stored-token-of-somebody-else"

#: Runs before anything else of the child (PEP 578: the hook sees each `connect`, whoever makes it).
_HOOK = """
import os, sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["CONNECTIONS"], "a") as out:
            out.write(f"{event} {args[1] if event != 'socket.getaddrinfo' else args[:2]}\\n")
    if event == "open" and str(args[0]).endswith("credentials.json"):
        with open(os.environ["CONNECTIONS"], "a") as out:
            out.write(f"read {args[0]}\\n")
sys.addaudithook(hook)
"""

#: Every kind of request; the official client sends chat elsewhere unless it is told where (dossier 2.0).
_LIBRARY = """
import asyncio, os
from contextlib import suppress
from lorry.errors import PlatformError
from lorry.model.generation import PictureOrder, TextOrder
from lorry.platforms.together import connect

async def all_of(pieces):
    return [piece async for piece in pieces]

async def main():
    async with connect(os.environ["LORRY_TOGETHER_URL"], os.environ["LORRY_TOGETHER_KEY"]) as at:
        await at.endpoints.find("tok")
        order = TextOrder("some/model", "Hello.")
        asked = 0
        for request in (
            at.writer.write(order), all_of(at.writer.stream(order)),
            at.painter.paint(PictureOrder("some/model", "a cat", 1)), at.registry.base("some/model"),
            at.registry.imports("ml_1"), at.attachments.list("ep_1", "dep_1"), at.endpoints.events("ep_1"),
            at.containers.find("worker"), at.queue.submit("worker", {}), at.legacy.find("tok"),
        ):
            asked += 1
            with suppress(PlatformError):
                await request
        print(asked)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Child:
    """A process with a stored login of its own, and what it did."""

    folder: Path
    url: str

    def run(self, *arguments: str, **more: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run Python; gives what it printed, and its connections."""
        hooks, connections = self.folder / "hooks", self.folder / "connections"
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(_HOOK)
        stored = self.folder / "home" / ".config" / "together" / "credentials.json"
        stored.parent.mkdir(parents=True)
        stored.write_text(json.dumps(_stored_login()))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(hooks), *sys.path]),
            "CONNECTIONS": str(connections),
            "LORRY_HOME": str(self.folder / "lorry"),
            **more,
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            env=env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done, connections.read_text().splitlines() if connections.exists() else []


def _stored_login() -> dict[str, object]:
    """Write what `tg login` writes (official SDK 3.1.1, lib/cli/auth.py: the layout in its docstring)."""
    login = {
        "name": "default",
        "access_token": STORED,
        "refresh_token": f"{STORED}-refresh",
        "token_type": "Bearer",
        "expires_at": 4102444800,
        "issuer": "https://api.together.ai",
        "client_id": "app_CfXyxzEgNqQmH1PJEr2Xw",
    }
    project = {**login, "name": "proj_other", "project_id": "proj_other"}
    return {"version": 1, "current": "proj_other", "credentials": [login, project]}


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    """Serve a platform on this machine."""
    found = Service()
    async with serving(found) as url:
        yield found, url


async def _run(
    child: Child, *arguments: str, **more: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    import asyncio

    return await asyncio.to_thread(child.run, *arguments, **more)


@pytest.mark.parametrize("names", ["lorry", "together"])
@pytest.mark.parametrize("arguments", [("-m", "lorry", "doctor", "--live", "--json"), ("-c", _LIBRARY)])
async def test_only_the_address_that_is_set_is_asked_and_with_our_key(
    service: tuple[Service, str], tmp_path: Path, names: str, arguments: tuple[str, ...]
) -> None:
    """With a stored login beside them, the address and the key that are set are the only ones used."""
    server, url = service
    variables = {
        "lorry": ("LORRY_TOGETHER_URL", "LORRY_TOGETHER_KEY"),
        "together": ("TOGETHER_BASE_URL", "TOGETHER_API_KEY"),
    }
    base, key = variables[names]
    settings = {base: url, key: KEY}
    if arguments[0] == "-c":  # the library takes no settings: the script reads these two
        settings = {"LORRY_TOGETHER_URL": url, "LORRY_TOGETHER_KEY": KEY, **settings}
    done, connections = await _run(Child(tmp_path, url), *arguments, **settings)
    assert done.returncode == 0, done.stderr
    host, port = url.removeprefix("http://").split(":")
    connected = [line for line in connections if line.startswith("socket.connect")]
    assert connected
    if arguments[0] == "-c":
        assert done.stdout.strip() == "10"
        assert [path for _, path, _ in server.seen].count("/v1/chat/completions") == 2
    assert set(connected) == {f"socket.connect ('{host}', {port})"}
    assert not [line for line in connections if line.startswith("read ")]
    assert {auth for _, _, auth in server.seen} == {f"Bearer {KEY}"}
    for text in (done.stdout, done.stderr):
        assert KEY not in text
        assert STORED not in text


async def test_without_a_key_the_stored_login_is_no_way_in(
    service: tuple[Service, str], tmp_path: Path
) -> None:
    """Only a key that is set opens a platform: without one nobody is asked."""
    server, url = service
    done, connections = await _run(
        Child(tmp_path, url), "-m", "lorry", "doctor", "--live", LORRY_TOGETHER_URL=url
    )
    assert done.returncode == 1
    assert "key_missing" in done.stderr
    assert server.seen == []
    assert not [line for line in connections if line.startswith(("socket.connect", "read "))]


async def test_the_doctor_tells_of_the_stored_login_without_reading_it(tmp_path: Path) -> None:
    """`lorry doctor` says that a login is there and not used; nothing is opened, nobody is asked."""
    done, connections = await _run(
        Child(tmp_path, ""), "-m", "lorry", "doctor", "--json", LORRY_TOGETHER_KEY=KEY
    )
    assert done.returncode == 0, done.stderr
    assert "Lorry does not use it" in json.loads(done.stdout)["platforms"]["tg login"]
    assert connections == []
    assert KEY not in done.stdout


def test_the_stored_login_is_one_that_the_official_command_line_takes(tmp_path: Path) -> None:
    """The file of these tests is no straw man: Together's own command line reads its login from it."""
    from together.lib.cli.auth import load_stored_credentials

    (tmp_path / "credentials.json").write_text(json.dumps(_stored_login()))
    os.environ["TOGETHER_CREDENTIALS_PATH"] = str(tmp_path / "credentials.json")  # conftest restores it
    found = load_stored_credentials()
    assert found is not None
    assert (found.access_token, found.project_id) == (STORED, "proj_other")
