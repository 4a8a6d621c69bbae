"""`lorry train` as its users meet it: pictures in, killed in the middle, a served model out."""

from __future__ import annotations

import pytest
from PIL import Image

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import Terminal

pytestmark = [pytest.mark.journey, pytest.mark.reference]


def test_pictures_in_a_model_out(terminal: Terminal, engine: EngineProcess) -> None:
    """Killed after a checkpoint it goes on from there; what it leaves is sound, shipped and generates."""
    assert engine
    folder = terminal.folder / "pictures"
    folder.mkdir()
    for number, colour in enumerate(("magenta", "purple", "violet")):
        Image.new("RGB", (90, 70), colour).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"TOK in {colour}")
    command = ("train", "pictures", "--trigger", "TOK", "--name", "tok", "--steps", "12")
    process = terminal.start(*command)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 3:"):
            process.kill()
            break
    process.communicate()
    told = terminal.data(*command)
    assert (told["steps"], told["steps_before"]) == (12, 3)
    assert "was trained already" in terminal.ok(*command)
    report = terminal.data("check", "tok")
    assert (report["summary"]["trigger"], report["summary"]["steps"]) == ("TOK", 12)
    assert terminal.data("ship", "tok", "--name", "tok")["state"] == "ready"
    wrong = terminal.run("train", "nowhere", "--trigger", "TOK", "--name", "tok", "--out", "x")
    assert wrong.returncode != 0
    assert "There is no folder" in wrong.stderr
    other = terminal.run(*command[:-1], "48")
    assert "holds another training: it differs in steps" in other.stderr
