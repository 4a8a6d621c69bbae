"""A delivery that is killed by SIGKILL anywhere and run again ends with exactly one of each thing.

Here over the doubles, after every call: the moment between a platform's act and our record of it. After every
entry of the journal, against the engine: `test_engine_kills.py`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.conftest import Answer, Runner

ONE_OF_EACH = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
NOTHING = dict.fromkeys(ONE_OF_EACH, 0)
SHIP_STEPS = {
    *("check", "publish", "register", "upload", "validate", "endpoint", "deploy", "wait", "route"),
    *("prove", "ready"),
}
RETIRE_STEPS = {"unroute", "stop", "stopped", "deployment", "endpoint", "model", "repository", "forget"}


@dataclass(frozen=True, slots=True)
class Place:
    """One home with a platform of its own, both in files."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        """Make an empty place with a file to ship."""
        folder.mkdir(parents=True)
        (folder / "tok.safetensors").write_bytes(b"weights" * 100)
        return cls(folder)

    def order(self, verb: str, at: str | None = None, number: int = 0) -> dict[str, Any]:
        """Give an order for this place."""
        return {
            "verb": verb,
            "home": str(self.folder / "home"),
            "source": str(self.folder / "tok.safetensors"),
            "name": "tok",
            "ground": str(self.folder / "ground.json"),
            "at": at,
            "number": number,
        }

    def counts(self) -> dict[str, int]:
        """Count what exists at the platform and the Hub."""
        things = json.loads((self.folder / "ground.json").read_text())
        return {kind: len(things[kind]) for kind in ONE_OF_EACH}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read Lorry's own tables."""
        connection = sqlite3.connect(self.folder / "home" / "lorry.sqlite")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def done(self, source: str) -> set[str]:
        """List the steps that the journal says are done."""
        query = f"select subject from events where action = 'done' and source = '{source}'"  # noqa: S608
        return {subject for (subject,) in self.rows(query)}

    def last(self) -> str:
        """Give the last entry of the journal."""
        found = self.rows("select source, subject, action from events order by id desc limit 1")
        return " ".join(found[0]) if found else "nothing"


def sweep(
    runner: Runner, folder: Path, verb: str, template: Path | None = None, every: int = 1
) -> Iterator[tuple[int, Place]]:
    """Kill `verb` at the first, second, third … call until it ends by itself; give each killed place."""
    for number in range(every, 200, every):
        place = folder / f"{verb}-{number}"
        if template is not None:
            shutil.copytree(template, place)
        here = Place(place) if template is not None else Place.make(place)
        answer = runner.ask(**here.order(verb, "call", number))
        if answer == Answer("done"):
            print(f"{verb}: {number // every - 1} kills, from first call to last")
            assert number > 10, "the sweep ended before it began"
            return
        assert answer == Answer("killed"), answer
        yield number, here
    raise AssertionError("the sweep has no end")


def test_a_killed_ship_ends_with_one_of_each(runner: Runner, tmp_path: Path) -> None:
    """Killed after any call, `ship` or `resume` finishes, with one of each thing."""
    for number, place in sweep(runner, tmp_path, "ship"):
        killed_after = place.last()
        known = bool(place.rows("select 1 from models")) if (place.folder / "home").exists() else False
        verb = "resume" if number % 2 and known else "ship"
        answer = runner.ask(**place.order(verb))
        print(f"{number:3} killed after call, journal ended: {killed_after:30} {verb:6} -> {answer.status}")
        assert answer == Answer("done")
        assert place.counts() == ONE_OF_EACH
        assert place.rows("select state from placements") == [("ready",)]
        assert place.done("delivery") == SHIP_STEPS
        shutil.rmtree(place.folder)


def test_a_killed_retire_ends_with_nothing(runner: Runner, tmp_path: Path) -> None:
    """Killed after any call, `retire` finishes when it is run again, and nothing is left."""
    template = Place.make(tmp_path / "template")
    assert runner.ask(**template.order("ship")) == Answer("done")
    for number, place in sweep(runner, tmp_path, "retire", template.folder):
        killed_after = place.last()
        answer = runner.ask(**place.order("retire"))
        print(f"{number:3} killed after call, journal ended: {killed_after:30} -> {answer.status}")
        assert answer == Answer("done")
        assert place.counts() == NOTHING
        assert place.rows("select * from models") == place.rows("select * from placements") == []
        assert place.rows("select * from intents") == []
        assert place.done("retire") == RETIRE_STEPS
        shutil.rmtree(place.folder)


def test_a_delivery_killed_anywhere_can_be_retired(runner: Runner, tmp_path: Path) -> None:
    """Killed at any third call, a delivery can be retired instead of resumed, and nothing is left."""
    for number, place in sweep(runner, tmp_path, "ship", every=3):
        assert runner.ask(**place.order("retire")) == Answer("done")
        assert place.counts() == NOTHING, f"after call {number}"
        shutil.rmtree(place.folder)


def test_killed_again_and_again_it_still_arrives(runner: Runner, tmp_path: Path) -> None:
    """A delivery that is killed after six entries, each time anew, gets on and ends with one of each."""
    place = Place.make(tmp_path / "place")
    kills = 0
    while kills < 40 and runner.ask(**place.order("ship", "entry", 6)) == Answer("killed"):
        kills += 1
    print(f"arrived after {kills} kills")
    assert kills > 3
    assert place.counts() == ONE_OF_EACH
    assert place.done("delivery") == SHIP_STEPS
