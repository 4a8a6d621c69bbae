"""A delivery that SIGKILL ends anywhere and that is run again ends as one that was not killed.

A part of the points here; all of them with `make sweep`. After every entry of the journal and against the
engine: `test_engine_kills.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.conftest import Answer, Runner
from tests.crash.sweeping import ROUTES, Place, sweep

#: Points that are left out between two kills; no multiple of two, so that kills come before and after.
EVERY = 43


@pytest.mark.parametrize("route", ROUTES)
def test_a_killed_delivery_ends_as_one_that_was_not(runner: Runner, tmp_path: Path, route: str) -> None:
    """Same objects, one of each; same state, same steps; no intent open; nothing left after retiring."""
    swept = list(sweep(runner, tmp_path, route, EVERY))
    for tried in swept:
        print(tried.row)
    assert [sentence for tried in swept for sentence in tried.wrong] == []
    assert sum(tried.kills for tried in swept) >= 3


def test_killed_again_and_again_it_still_arrives(runner: Runner, tmp_path: Path) -> None:
    """A delivery that is killed after twenty points, each time anew, gets on and ends with one of each."""
    place, kills = Place.make(tmp_path / "place", "local"), 0
    while kills < 60 and runner.ask(**place.order("ship", 40)) == Answer("killed"):
        kills += 1
    print(f"arrived after {kills} kills")
    assert kills > 3
    assert place.seen()["objects"]["deployments"] == 1
    assert place.rows("select state from placements") == [("ready",)]


def test_killed_at_its_beginning_it_goes_where_it_was_to_go(runner: Runner, tmp_path: Path) -> None:
    """At each of the first points: whoever goes on knows the route, or nothing is known of the model."""
    for number in range(1, 9):
        place = Place.make(tmp_path / str(number), "together-container")
        assert runner.ask(**place.order("ship", number)) == Answer("killed")
        known = bool(place.rows("select 1 from models"))
        assert runner.ask(**place.order("resume" if known else "ship")) == Answer("done")
        assert place.rows("select route, state from placements") == [("together-container", "ready")]
