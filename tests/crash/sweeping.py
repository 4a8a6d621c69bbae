"""The sweep: a delivery of each route killed at every point, run again, and compared with one that was not.

A point is the moment before, or right after, a write of the journal, the records or the intents, or a call of
the platform or the Hub. Over the doubles, whose things lie in a file.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorry.delivery.doubles import Ground
from tests.crash.conftest import Answer, Runner

#: Each route with the kind of model that it takes, and what has to be asked for.
ROUTES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "local": ("image-lora", {}),
    "together-attached": ("text-lora", {}),
    "together-merged": ("text-lora", {"remote": "hub"}),
    "together-url": ("image-lora", {"public": True}),
    "together-container": ("image-lora", {"public": True, "image": "registry.example/worker:1"}),
    "together-v1": ("text-lora", {}),
}

#: What is done after a kill, in turn: what a person types, or what a worker does by itself.
AFTER = ("resume", "work", "ship", "retire")


@dataclass(frozen=True, slots=True)
class Place:
    """One home with a platform of its own, both in files."""

    folder: Path
    route: str

    @classmethod
    def make(cls, folder: Path, route: str) -> Place:
        """Make an empty place with a file to ship."""
        folder.mkdir(parents=True)
        (folder / "tok.safetensors").write_bytes(b"weights" * 100)
        return cls(folder, route)

    def order(self, verb: str, number: int = 0) -> dict[str, Any]:
        """Give an order for this place; with a number, to die at that point."""
        kind, options = ROUTES[self.route]
        return {
            "verb": verb,
            "home": str(self.folder / "home"),
            "source": str(self.folder / "tok.safetensors"),
            "name": "tok",
            "ground": str(self.folder / "ground.json"),
            "route": self.route,
            "kind": kind,
            "options": options,
            "at": "point" if number else None,
            "number": number,
        }

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read Lorry's own tables; nothing where they are not made yet."""
        file = self.folder / "home" / "lorry.sqlite"
        if not file.exists():
            return []
        connection = sqlite3.connect(file)
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def seen(self) -> dict[str, Any]:
        """Give what can be seen in the end: objects by kind, state, finished steps, intents that are open."""
        things = Ground(self.folder / "ground.json").things  # nothing at all when no call was reached
        done = self.rows("select distinct source, subject from events where action = 'done'")
        return {
            "objects": {kind: len(rows) for kind, rows in things.items() if isinstance(rows, dict)},
            "runs": sorted(row.get("aim", "run") for row in things["deployments"].values()),
            "states": self.rows("select state from placements"),
            "models": self.rows("select name from models"),
            "done": sorted(done),
            "open": [key for key, result in self.rows("select key, result from intents") if _empty(result)],
        }


def _empty(result: str | None) -> bool:
    return result is None or json.loads(result) is None


@dataclass(slots=True)
class Tried:
    """What was tried of one verb on one route.

    Attributes:
        points: Points at which a process can die.
        kills: Those at which one was killed.
        after: What was done then, and how often.
        wrong: What ended otherwise than without a kill, in sentences.
    """

    route: str
    verb: str
    points: int = 0
    kills: int = 0
    after: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """Give it as a row of a Markdown table."""
        after = ", ".join(f"{count} × {verb}" for verb, count in sorted(self.after.items()))
        outcome = "all as without a kill" if not self.wrong else f"{len(self.wrong)} otherwise"
        return f"| `{self.route}` | {self.verb} | {self.points} | {self.kills} | {after} | {outcome} |"


@dataclass(frozen=True, slots=True)
class Ends:
    """What is seen in the end, without any kill: of a shipped model, and of a retired one."""

    ready: dict[str, Any]
    gone: dict[str, Any]


HEAD = "| route | verb | points | kills | run afterwards | outcome |\n|---|---|---:|---:|---|---|"


def sweep(runner: Runner, folder: Path, route: str, every: int = 1) -> Iterator[Tried]:
    """Kill the shipping, then the retiring, of a model at every point of a route.

    Args:
        runner: Carries orders out.
        folder: Where places are made.
        route: Which route.
        every: Leave out points between; 1 for none.

    Yields:
        What was tried of each verb.
    """
    plain = Place.make(folder / "plain", route)
    shipped = runner.ask(**plain.order("ship"))
    assert shipped == Answer("done"), shipped
    ready = plain.seen()
    shutil.copytree(plain.folder, folder / "ready")
    retired = runner.ask(**plain.order("retire"))
    assert retired == Answer("done"), retired
    gone = plain.seen()
    ends = Ends(ready, gone)
    yield _kill_all(runner, folder, Tried(route, "ship", shipped.points), None, ends, every)
    yield _kill_all(runner, folder, Tried(route, "retire", retired.points), folder / "ready", ends, every)


def _kill_all(
    runner: Runner,
    folder: Path,
    tried: Tried,
    template: Path | None,
    ends: Ends,
    every: int,
) -> Tried:
    for number in range(1, tried.points + 1, every):
        place = _place(folder / f"{tried.verb}-{number}", tried.route, template)
        killed = runner.ask(**place.order(tried.verb, number))
        if killed == Answer("done"):  # a look more or less, which hangs on the clock
            shutil.rmtree(place.folder)
            continue
        assert killed == Answer("killed"), killed
        tried.kills += 1
        verb = "retire" if tried.verb == "retire" else AFTER[tried.kills % len(AFTER)]
        verb = verb if place.rows("select 1 from models") or tried.verb == "retire" else "ship"
        tried.after[verb] += 1
        late = tried.verb == "ship" and place.rows("select state from placements") == [("ready",)]
        again = runner.ask(**place.order(verb))
        # What was not reached was not done either; what was all but done is not done again.
        some = late or (tried.verb == "ship" and verb == "retire")
        wrong = _compare(place, again, ends.gone if verb == "retire" else ends.ready, some=some)
        if wrong:
            where = f"{tried.route}: killed at point {number} of {tried.verb}"
            tried.wrong.append(f"{where}, then {verb}: {wrong}")
        shutil.rmtree(place.folder)
    return tried


def _place(folder: Path, route: str, template: Path | None) -> Place:
    if template is None:
        return Place.make(folder, route)
    shutil.copytree(template, folder)
    return Place(folder, route)


def _compare(place: Place, again: Answer, wanted: dict[str, Any], *, some: bool) -> str:
    """Say what is otherwise than without a kill; nothing when all is as it should be.

    Args:
        place: Where to look.
        again: How the second run ended.
        wanted: What is seen without a kill.
        some: Whether fewer steps may be done than without one.
    """
    over = again.error is not None and again.error["code"] in ("nothing_to_resume", "model_not_found")
    if again.status != "done" and not over:  # over: the kill came when all was done
        return f"{again.status}: {again.error}"
    seen = place.seen()
    if some:
        wanted = {**wanted, "done": seen["done"]}
    if some and not wanted["models"]:  # the first version keeps what was uploaded, where that was reached
        left = {kind: min(count, wanted["objects"][kind]) for kind, count in seen["objects"].items()}
        wanted = {**wanted, "objects": left}
    return "" if seen == wanted else f"{seen} instead of {wanted}"
