"""`lorry watch` as its users meet it: beside a trainer, killed in the middle, and as a script's last line."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey

FILE = "pytorch_lora_weights.safetensors"
TOK, BLUEPRINT = EXAMPLES / "tok" / FILE, EXAMPLES / "blueprint" / FILE


def _put(source: Path, place: Path, size: int | None = None) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(source.read_bytes()[:size])


def _until(process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read what it tells until a line is as wanted."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if wanted(seen[-1]):
            return seen
    raise AssertionError(f"it ended before; it told {seen} {process.stderr.read() if process.stderr else ''}")


def _is(state: str, model: str | None = None) -> Callable[[dict[str, Any]], bool]:
    return lambda row: row.get("state") == state and (model is None or row.get("model") == model)


def test_beside_a_trainer_from_a_half_written_file_to_a_served_model(
    terminal: Terminal, engine: EngineProcess
) -> None:
    """Half a file is told once; whole it is shipped; killed in a delivery, the next watch goes on with it."""
    assert engine
    out = terminal.folder / "out"
    _put(TOK, out / "ann" / "checkpoint-100" / FILE)
    _put(TOK, out / "bob.safetensors", 70_000)
    watch = terminal.start("watch", "out", "--json")
    told = _until(watch, _is("failed"))
    told += [] if any(map(_is("unfinished"), told)) else _until(watch, _is("unfinished"))
    assert [row["error"]["code"] for row in told if _is("failed")(row)] == ["weights_rejected"]
    shutil.copy(BLUEPRINT, out / "bob.safetensors")
    _until(watch, _is("shipped", "bob"))

    _put(TOK, out / "ann" / FILE)
    _until(watch, lambda row: (row["model"], row.get("subject")) == ("ann", "upload"))
    watch.kill()
    watch.communicate()
    again = terminal.start("watch", "out", "--json")
    _until(again, _is("shipped", "ann"))
    again.send_signal(signal.SIGTERM)
    _, err = again.communicate(timeout=60)
    assert (again.returncode, err) == (0, "")
    assert [row["model"]["name"] for row in terminal.data("models")["models"]] == ["ann", "bob"]


def test_the_last_line_of_a_training_script(terminal: Terminal, engine: EngineProcess) -> None:
    """`--once` ships what has finished and ends; what can't be shipped is its exit status, each time."""
    assert engine
    _put(TOK, terminal.folder / "output" / "tok" / "tok.safetensors")
    _put(TOK, terminal.folder / "output" / "tok" / "tok_000000250.safetensors")
    told = terminal.ok("watch", "output", "--once")
    assert "is finished, and is shipped as tok." in told
    assert "tok is shipped." in told
    assert terminal.ok("watch", "output", "--once") == ""
    _put(TOK, terminal.folder / "output" / "ann" / FILE, 1000)
    for _ in range(2):
        done = terminal.run("watch", "output", "--once")
        assert done.returncode == 1
        assert "weights_rejected" in done.stdout
    wrong = terminal.run("watch", "nowhere", "neither", "--once")
    assert wrong.returncode != 0
    assert "nowhere" in wrong.stderr
    assert "neither" in wrong.stderr
