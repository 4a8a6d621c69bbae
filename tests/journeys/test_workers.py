"""Several workers share deliveries, over files and over Postgres; one is killed, and another goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey

NAMES = tuple(f"tok-{number}" for number in range(4))


class Workers:
    """`lorry worker` in terminals of their own."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []

    def start(self, terminal: Terminal) -> subprocess.Popen[str]:
        """Start one, which tells each event as a line of JSON."""
        worker = terminal.start("worker", "--json")
        self._running.append(worker)
        return worker

    def end(self) -> None:
        """End all of them in order."""
        for worker in self._running:
            worker.send_signal(signal.SIGTERM)
        for worker in self._running:
            worker.communicate(timeout=60)


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Give terminals with workers; they are ended with the test."""
    made = Workers()
    yield made
    made.end()


@pytest.fixture(params=["files", "postgres"])
def shared(request: pytest.FixtureRequest, terminal: Terminal) -> tuple[Terminal, Terminal]:
    """Give two terminals that share deliveries: of one home, or of two homes over one database."""
    if request.param == "files":
        return terminal, terminal
    os.environ["LORRY_DATABASE_URL"] = request.getfixturevalue("database")
    return terminal, replace(terminal, home=terminal.home.with_name("another-home"))


def _told(worker: subprocess.Popen[str], subject: str) -> str:
    """Read what a worker tells until a step is done; gives whose."""
    assert worker.stdout is not None
    for line in worker.stdout:
        event = json.loads(line)
        if (event["subject"], event["action"]) == (subject, "done"):
            return str(event["model"])
    raise AssertionError(f"the worker ended before {subject} was done")


def test_a_killed_worker_is_replaced_by_another(
    shared: tuple[Terminal, Terminal], workers: Workers, tmp_path: Path
) -> None:
    """What it had in its hands is ready within seconds all the same; each object is there once."""
    one, two = shared
    with running_engine(tmp_path / "engine", pace=Pace.looks(3)) as engine:
        os.environ["LORRY_ENGINE_URL"] = engine.url
        for name in NAMES:
            assert "a worker takes it" in one.ok("ship", str(EXAMPLES / "tok"), "--name", name, "--detach")
        waiting = one.data("deliveries")["deliveries"]
        assert [(row["model"], row["state"], row["pid"]) for row in waiting] == [
            (name, "delivering", None) for name in NAMES
        ]
        first = workers.start(one)
        assert _told(first, "deploy") in NAMES
        first.send_signal(signal.SIGKILL)
        first.wait()
        left = {row["model"] for row in two.data("deliveries")["deliveries"]}
        assert left
        second = workers.start(two)
        while left:
            left.discard(_told(second, "ready"))
        _all_are_ready(two, engine)
        assert two.ok("deliveries") == "Nothing is under way.\n"


def _all_are_ready(terminal: Terminal, engine: RunningEngine) -> None:
    rows = terminal.data("deliveries", "--all")["deliveries"]
    assert [(row["model"], row["state"]) for row in rows] == [(name, "ready") for name in NAMES]
    assert set(engine.counts().values()) == {len(NAMES)}


def test_a_delivery_of_a_worker_is_cancelled_from_another_terminal(
    shared: tuple[Terminal, Terminal], workers: Workers, tmp_path: Path
) -> None:
    """At once, also while it waits; what it made is undone, and the worker goes on to wait."""
    one, two = shared
    with running_engine(tmp_path / "engine", pace=Pace.looks(10_000)) as engine:
        os.environ["LORRY_ENGINE_URL"] = engine.url
        one.ok("ship", str(EXAMPLES / "tok"), "--name", "tok", "--detach")
        worker = workers.start(one)
        _told(worker, "upload")
        kept = two.data("cancel", "tok")
        assert kept["state"] == "held"
        assert "waits for a person" in two.ok("show", "tok")
        assert "nothing of it runs or bills" in two.ok("cancel", "tok", "--undo")
        assert worker.poll() is None
        assert set(engine.counts().values()) == {0}
