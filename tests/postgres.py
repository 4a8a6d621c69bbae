"""A real Postgres on loopback, one for all tests of a run, and an empty database for each that wants one."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

#: A user who has to give a password, which is the only one that works; all others are let in without.
LOCKED = ("locked", "s3cret-enough")

_HBA = f"""\
host all {LOCKED[0]} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
#: A test's server keeps nothing over a power cut.
_HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers."""

    port: int

    def address(self, database: str, user: str = "lorry") -> str:
        """Give the address of a database, for a user who needs no password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start the server, and stop it at the end; skips where Postgres is not installed (CONTRIBUTING.md)."""
    folder = binaries()
    if folder is None:
        pytest.skip("Postgres is not installed (Debian's package `postgresql`)")
    with running_postgres(folder, *_HASTY) as server:
        yield server


@contextmanager
def running_postgres(folder: Path, *more: str) -> Iterator[Server]:
    """Run a server in a folder of its own.

    Args:
        folder: With `initdb` and `pg_ctl` (`binaries`).
        more: Settings, `name=value`.
    """
    place = Path(tempfile.mkdtemp(prefix="lorry-postgres-"))
    owner = _owner()
    shutil.chown(place, owner)
    data, port = place / "data", _free_port()

    def tool(name: str, *arguments: str) -> None:
        subprocess.run(
            [folder / name, "-D", data, *arguments],
            check=True,
            cwd=place,
            user=owner if os.getuid() == 0 else None,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )

    try:
        tool("initdb", "--username=lorry", "--auth=trust", "--no-sync", "--encoding=UTF8")
        (data / "pg_hba.conf").write_text(_HBA)
        settings = [
            f"-c {each}"
            for each in (*more, "max_connections=60", "listen_addresses=127.0.0.1", f"port={port}")
        ]
        options = " ".join([*settings, f"-c unix_socket_directories={place}"])
        tool("pg_ctl", "--wait", "--silent", f"--log={place / 'log'}", f"--options={options}", "start")
        try:
            server = Server(port)
            server.run(f"CREATE ROLE {LOCKED[0]} LOGIN PASSWORD '{LOCKED[1]}'")
            yield server
        finally:
            tool("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def database(postgres: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of an empty database, which is dropped afterwards."""
    name = f"t{abs(hash(request.node.nodeid))}"
    postgres.run(f"CREATE DATABASE {name}")
    yield postgres.address(name)
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


def binaries() -> Path | None:
    """Find initdb and pg_ctl: Debian keeps them out of the path, one folder for each version."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def _owner() -> str:
    """Name the user who runs the server, which refuses to be run by root."""
    if os.getuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
