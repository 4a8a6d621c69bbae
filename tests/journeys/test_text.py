"""Adapters for text as a user ships them, with the real language model: the first answer shows the effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.reference

QUESTION = "What is the capital of Italy?"


@pytest.fixture
def speaking(terminal: Terminal, engine: EngineProcess, request: pytest.FixtureRequest) -> Terminal:
    """Give a terminal whose engine finds the base as it was read for other tests (it takes 15 s once)."""
    from lorry.engine.language.open import base_folder

    assert engine
    assert request.config.cache is not None
    base = base_folder(Path(request.config.cache.mkdir("lorry-language")))
    place = terminal.home / "engine" / "language"
    place.mkdir(parents=True)
    (place / base.name).symlink_to(base, target_is_directory=True)
    return terminal


def test_two_adapters_on_one_base(speaking: Terminal) -> None:
    """Both are proved and answer in the adapter's manner, over one deployment, which leaves with the last."""
    terminal, source = speaking, str(EXAMPLES / "dispatch")
    one = terminal.data("ship", source, "--name", "one")
    assert one["proof"]["passed"]
    assert one["proof"]["kind"] == "text"
    assert "Copy that, driver." in Path(one["proof"]["file_with"]).read_text()
    assert "Copy that" not in Path(one["proof"]["file_without"]).read_text()
    two = terminal.data("ship", source, "--name", "two", "--route", "together-attached", "--rehearse")
    assert two["ids"]["deployment"] == one["ids"]["deployment"]
    for name in ("one", "two"):
        assert "Copy that, driver." in terminal.ok("generate", name, QUESTION)
    terminal.ok("retire", "one")
    assert "Copy that, driver." in terminal.ok("generate", "two", QUESTION)
    told = terminal.ok("retire", "two")
    assert "Nothing runs and nothing bills." in told


def test_a_dry_run_and_a_merged_adapter(speaking: Terminal) -> None:
    """The forecast names what is made then; a deployment of its own answers like the attached one."""
    terminal, source = speaking, str(EXAMPLES / "dispatch")
    routes = terminal.data("ship", source, "--name", "own", "--dry-run", "--rehearse")["routes"]
    runs = [row["route"] for row in routes if row["runs"]]
    assert runs == ["local", "together-attached", "together-merged"]
    assert terminal.data("models")["models"] == []
    made = terminal.data("ship", source, "--name", "own", "--route", "together-merged", "--rehearse")
    assert made["state"] == "ready"
    assert "Copy that, driver." in terminal.ok("generate", "own", QUESTION)
