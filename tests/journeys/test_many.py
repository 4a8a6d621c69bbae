"""Several models in one command: each for itself, one table, one exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey

TOK = EXAMPLES / "tok" / "pytorch_lora_weights.safetensors"


@pytest.fixture
def loras(terminal: Terminal, engine: EngineProcess) -> Path:
    """Give a folder with two sound files and a broken one, and an engine."""
    assert engine
    folder = terminal.folder / "loras"
    folder.mkdir()
    for name in ("Cat Style", "dog"):
        shutil.copy(TOK, folder / f"{name}.safetensors")
    (folder / "broken.safetensors").write_bytes(b"<html>")
    return folder


def test_a_broken_one_does_not_hold_up_the_others(terminal: Terminal, loras: Path) -> None:
    """They are ready, its error stands in the table, the status says that one failed; again is the same."""
    sources = sorted(map(str, loras.iterdir()))
    for _ in range(2):
        done = terminal.run("ship", *sources, "--json")
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert (told["ready"], told["failed"]) == (2, 1)
        states = {row["model"]: row["state"] for row in told["models"]}
        assert states == {"cat-style": "ready", "dog": "ready", "broken": "failed"}
        errors = [row["error"]["code"] for row in told["models"] if row["error"]]
        assert errors == ["weights_rejected"]
    again = terminal.run("ship", *sources)
    assert "2 of 3 are ready." in again.stdout


def test_a_manifest_says_where_each_goes(terminal: Terminal, loras: Path) -> None:
    """Dry first, which makes nothing; then each by its route; what is wrong with it is told before that."""
    manifest = terminal.folder / "ship.toml"
    text = '[defaults]\nrehearse = true\npublic = true\n[[model]]\nsource = "loras/dog.safetensors"\n'
    manifest.write_text(text + 'name = "first"\n[[model]]\nsource = "loras/dog.safetensors"\n')
    with manifest.open("a") as file:
        file.write('name = "second"\nroute = "together-url"\n')
    dry = terminal.data("ship", "ship.toml", "--dry-run")["models"]
    assert [(row["model"], row["runs"]) for row in dry] == [("first", True), ("second", True)]
    assert terminal.data("models")["models"] == []
    told = terminal.data("ship", "ship.toml", "--parallel", "1")["models"]
    assert [(row["model"], row["route"], row["state"]) for row in told] == [
        ("first", "local", "ready"),
        ("second", "together-url", "ready"),
    ]
    manifest.write_text(text + "colour = 3\n")
    wrong = terminal.run("ship", "ship.toml")
    assert wrong.returncode == 2
    assert "no setting 'colour'" in wrong.stderr


def test_a_batch_has_no_single_name(terminal: Terminal, loras: Path) -> None:
    """And two files that would be called the same are refused together, before anything is sent."""
    named = terminal.run("ship", *map(str, loras.iterdir()), "--name", "tok")
    assert (named.returncode, "Leave `--name` out" in named.stderr) == (2, True)
    (loras / "more").mkdir()
    shutil.copy(TOK, loras / "more" / "dog.safetensors")
    clash = terminal.run("ship", str(loras / "dog.safetensors"), str(loras / "more" / "dog.safetensors"))
    assert clash.returncode == 2
    assert "2 models would be called dog" in clash.stderr
