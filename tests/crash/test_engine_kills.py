"""The same against a real engine, through the official clients: killed after every entry of the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lorry.engine.testing import RunningEngine, running_engine
from tests.crash.conftest import ROOT, Answer, Runner

SHIP_STEPS = {
    *("check", "publish", "register", "upload", "validate", "endpoint", "deploy", "wait", "route"),
    *("prove", "ready"),
}
RETIRE_STEPS = {"unroute", "stop", "stopped", "deployment", "endpoint", "model", "repository", "forget"}
#: After which entries it is killed. `make sweep` kills the same deliveries at every point, against doubles.
EVERY_FIFTH = range(1, 200, 5)
KINDS = ("models", "revisions", "endpoints", "deployments", "repos")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Run one engine for all kills: each has a model of its own name on it."""
    with running_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


def _order(engine: RunningEngine, home: Path, name: str, verb: str, number: int = 0) -> dict[str, Any]:
    return {
        "verb": verb,
        "home": str(home),
        "source": str(ROOT / "examples" / "tok"),
        "name": name,
        "engine": engine.url,
        "at": "entry" if number else None,
        "number": number,
    }


def _rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(home / "lorry.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _done(home: Path, source: str) -> set[str]:
    rows = _rows(home, "select subject, source from events where action = 'done'")
    return {subject for subject, said_by in rows if said_by == source}


def _last(home: Path) -> str:
    return " ".join(_rows(home, "select source, subject, action from events order by id desc limit 1")[0])


def test_a_killed_ship_ends_with_one_of_each(runner: Runner, engine: RunningEngine, tmp_path: Path) -> None:
    """Killed after any entry, `ship` or `resume` finishes, with one of each thing on the engine."""
    before = engine.counts()
    for turn, number in enumerate(EVERY_FIFTH, 1):
        home, name = tmp_path / f"home-{number}", f"ship-{number}"
        killed = runner.ask(**_order(engine, home, name, "ship", number))
        if killed == Answer("done"):
            break
        assert killed == Answer("killed"), killed
        last, verb = _last(home), "resume" if turn % 2 else "ship"
        answer = runner.ask(**_order(engine, home, name, verb))
        print(f"{number:3} killed after entry, journal ended: {last:30} {verb:6} -> {answer.status}")
        assert answer == Answer("done") or (last == "delivery ready done" and verb == "resume"), answer
        assert engine.counts() == {kind: before[kind] + turn for kind in KINDS}
        assert _rows(home, "select state from placements") == [("ready",)]
        assert _done(home, "delivery") == SHIP_STEPS
    assert number > 30, "the sweep ended before it began"
    print(f"ship: {number - 1} entries to kill at, every fifth tried")


def test_a_killed_retire_ends_with_nothing(runner: Runner, engine: RunningEngine, tmp_path: Path) -> None:
    """Killed after any entry, `retire` run again finishes, and nothing of the model is left anywhere."""
    before = engine.counts()
    for number in EVERY_FIFTH:
        home, name = tmp_path / f"home-{number}", f"retire-{number}"
        assert runner.ask(**_order(engine, home, name, "ship")) == Answer("done")
        killed = runner.ask(**_order(engine, home, name, "retire", number))
        if killed == Answer("done"):
            break
        assert killed == Answer("killed"), killed
        last = _last(home)
        answer = runner.ask(**_order(engine, home, name, "retire"))
        print(f"{number:3} killed after entry, journal ended: {last:30} -> {answer.status}")
        assert answer == Answer("done"), answer
        assert engine.counts() == before
        assert _rows(home, "select * from models") == []
        assert _done(home, "retire") == RETIRE_STEPS
    assert number > 10, "the sweep ended before it began"
    print(f"retire: {number - 1} entries to kill at, every fifth tried")
