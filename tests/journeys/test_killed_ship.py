"""`lorry ship` killed from outside after each step that it reports, and taken up again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorry.engine.testing import RunningEngine, running_engine
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey

#: The order in which `lorry ship` reports its steps.
STEPS = (
    "check",
    "publish",
    "register",
    "upload",
    "validate",
    "endpoint",
    "deploy",
    "wait",
    "route",
    "prove",
    "ready",
)
#: Every third one; tests/crash kills it at many more moments, without a process for each.
TRIED = STEPS[::3]


def _ship_and_kill(terminal: Terminal, name: str, after: str) -> None:
    process = terminal.start("ship", str(EXAMPLES / "tok"), "--name", name)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["ok"]:
            seen.append(words[1])
        if seen[-1:] == [after]:
            process.kill()
            break
    process.communicate(timeout=60)
    assert tuple(seen) == STEPS[: STEPS.index(after) + 1]


def _exactly(engine: RunningEngine, count: int) -> None:
    assert set(engine.counts().values()) == {count}, engine.counts()


def test_killed_after_a_step_it_ends_with_exactly_one_of_each(tmp_path: Path) -> None:
    """SIGKILL after a step, then `resume` or `ship` again, gives one model, endpoint and deployment."""
    terminal = Terminal(tmp_path, tmp_path / "home")
    with running_engine(tmp_path / "engine") as engine:
        os.environ["LORRY_ENGINE_URL"] = engine.url
        for number, step in enumerate(TRIED, start=1):
            name = f"tok-{number}"
            _ship_and_kill(terminal, name, step)
            # Both ways lead on; before the first record, and after the last, there is nothing to resume.
            resumes = number % 2 == 0 and step != "ready"
            again = ("resume", name) if resumes else ("ship", str(EXAMPLES / "tok"), "--name", name)
            assert terminal.data(*again)["state"] == "ready"
            _exactly(engine, number)
        terminal.ok("retire", "tok-1")
        _exactly(engine, len(TRIED) - 1)
