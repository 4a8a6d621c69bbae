"""The commands in the order of a user's first hour."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from lorry.cli.engine_process import EngineProcess
from tests.journeys.conftest import EXAMPLES, Terminal

pytestmark = pytest.mark.journey


def _levels(file: Path) -> list[int]:
    return list(Image.open(io.BytesIO(file.read_bytes())).convert("RGB").resize((16, 16)).tobytes())


def _same(one: Path, other: Path) -> bool:
    return _pixels(one) == _pixels(other)


def _pixels(file: Path) -> bytes:
    return Image.open(io.BytesIO(file.read_bytes())).convert("RGB").tobytes()


def _difference(one: Path, other: Path) -> float:
    pairs = list(zip(_levels(one), _levels(other), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


def test_from_a_folder_to_pictures_and_back(terminal: Terminal, engine: EngineProcess) -> None:
    """Check, ship, list, generate, read the journal, retire: each command works after the one before it."""
    assert terminal.data("check", str(EXAMPLES / "tok"))["summary"]["trigger"] == "TOK"
    said = terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")
    assert "tok is ready." in said
    for step in ("check", "publish", "upload", "deploy", "prove"):
        assert f"ok    {step}" in said
    shown = terminal.data("show", "tok")
    assert shown["placement"]["state"] == "ready"
    assert all(Path(shown["placement"]["proof"][key]).is_file() for key in ("file_without", "file_with"))
    assert [entry["model"]["name"] for entry in terminal.data("models")["models"]] == ["tok"]

    made = terminal.data(
        "generate", "tok", "on a purple background", "-o", "with.png", "--seed", "7", "-n", "2"
    )
    assert made["trigger_added"]
    assert made["prompt"].startswith("TOK")
    assert [Path(picture["file"]).name for picture in made["pictures"]] == ["with-1.png", "with-2.png"]
    terminal.ok("generate", "tok", made["prompt"], "-o", "off.png", "--seed", "7", "--scale", "0")
    terminal.ok("generate", "tok", made["prompt"], "-o", "again.png", "--seed", "8")
    folder = terminal.folder
    assert _difference(folder / "with-1.png", folder / "off.png") > 5
    assert _same(folder / "with-2.png", folder / "again.png")

    assert "ready" in terminal.ok("events", "tok")
    terminal.ok("retire", "tok")
    assert terminal.data("models")["models"] == []
    assert terminal.run("generate", "tok", "TOK").returncode == 2
    assert "retire" in terminal.ok("events", "tok")


def test_shipping_twice_is_free(terminal: Terminal, engine: EngineProcess) -> None:
    """The same file under the same name is there already: the second `ship` creates nothing and is quick."""
    first = terminal.data("ship", str(EXAMPLES / "tok"), "--name", "tok")
    second = terminal.data("ship", str(EXAMPLES / "tok"), "--name", "tok")
    assert first["ids"] == second["ids"]


def test_the_style_ships_beside_the_subject(terminal: Terminal, engine: EngineProcess) -> None:
    """Two LoRAs live side by side, each with its own trigger word and proof."""
    for name in ("tok", "blueprint"):
        assert terminal.data("ship", str(EXAMPLES / name), "--name", name)["proof"]["passed"]
    assert len(terminal.data("models")["models"]) == 2


def test_without_an_engine_the_next_command_is_said(terminal: Terminal) -> None:
    """No engine: the error names its address and the command that starts it; nothing half-made stays."""
    done = terminal.run("ship", str(EXAMPLES / "tok"), "--name", "tok")
    assert done.returncode == 1
    assert "[engine_not_running]" in done.stderr
    assert "lorry engine" in done.stderr
    resumed = terminal.run("generate", "tok", "TOK")
    assert resumed.returncode == 2


def test_an_engine_started_later_is_found(terminal: Terminal) -> None:
    """After `engine_not_running` the same command works once the engine runs, on whatever port."""
    from lorry.cli.engine_process import engine_process

    assert terminal.run("ship", str(EXAMPLES / "tok"), "--name", "tok").returncode == 1
    with engine_process(terminal.home, terminal.home / "engine.log"):
        assert "tok is ready." in terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")


def test_a_restarted_engine_still_serves(terminal: Terminal) -> None:
    """The engine's state is on disk: what was shipped answers after a restart, with the same picture."""
    from lorry.cli.engine_process import engine_process

    with engine_process(terminal.home, terminal.home / "one.log"):
        terminal.ok("ship", str(EXAMPLES / "tok"), "--name", "tok")
        terminal.ok("generate", "tok", "TOK", "-o", "before.png", "--seed", "3")
    with engine_process(terminal.home, terminal.home / "two.log"):
        terminal.ok("generate", "tok", "TOK", "-o", "after.png", "--seed", "3")
    assert _same(terminal.folder / "before.png", terminal.folder / "after.png")


def test_a_taken_port_is_said(terminal: Terminal, engine: EngineProcess) -> None:
    """A second engine on a taken port ends with its own code and the next command, not with a traceback."""
    port = engine.url.rsplit(":", 1)[1]
    done = terminal.run("engine", "--port", port, "--home", str(terminal.folder / "other"))
    assert done.returncode == 1
    assert "[port_taken]" in done.stderr
    assert port in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--ray", "--replicas", "0"], "option_invalid", "--replicas 1-8"),
        (["--ray", "--replicas", "5-3"], "option_invalid", "--replicas 1-8"),
        (["--base", "x/y", "--base-folder", "."], "option_invalid", "model_index.json"),
        (["--renderer", "none"], "option_invalid", "onnx"),
    ],
)
def test_an_engine_that_can_not_be_is_refused_at_once(
    terminal: Terminal, options: list[str], code: str, says: str
) -> None:
    """A number of replicas, a base or a renderer that there is not: told before anything is opened."""
    done = terminal.run("engine", *options, "--port", "0", "--home", str(terminal.folder / "other"))
    assert done.returncode == 2
    assert f"[{code}]" in done.stderr
    assert says in done.stderr
    assert not (terminal.folder / "other").exists()
