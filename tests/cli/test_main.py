"""The door: exit statuses, errors as text and as data, nothing of a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lorry.cli.main import COMMANDS, run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`lorry COMMAND --help` works for each command and every option has a line of its own."""
    assert run([command, "--help"]) == 0
    assert "Usage: lorry" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["chek"], ["check"], ["ship"], ["generate", "tok"], ["check", "x", "--no"]]
)
def test_wrong_usage_is_status_2_with_the_next_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt command, a missing or unknown argument: status 2, one sentence, and where to read more."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error [usage]: ")
    assert "--help" in said.err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["check", "no-such-file"], ["show", "No Name"], ["chek"]])
def test_json_errors_are_one_document(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` an error is the same as data, on standard output, and nothing else is printed."""
    assert run([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert said.err == ""
    assert set(error) == {"code", "message", "fix", "retryable", "pays", "evidence"}


def test_a_missing_path_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A path that does not exist is wrong usage, and the sentence names it."""
    assert run(["check", "no-such-file"]) == 2
    assert "no-such-file" in capsys.readouterr().err


def test_a_setting_that_can_t_be_used_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong environment variable stops a command before it does anything."""
    monkeypatch.setenv("LORRY_RENDERER", "gpu")
    assert run(["models"]) == 2
    assert "setting_invalid" in capsys.readouterr().err


def test_ctrl_c_in_the_middle_of_anything_is_one_sentence() -> None:
    """Ctrl-C while an event loop is half made ends with status 130 and no traceback of its remains."""
    script = (
        "import asyncio, sys\n"
        "from lorry.cli.main import finish\n"
        "async def work(): pass\n"
        "def command():\n"
        "    waiting = work()\n"
        "    half_made = asyncio.SelectorEventLoop.__new__(asyncio.SelectorEventLoop)\n"
        "    raise KeyboardInterrupt\n"
        "sys.exit(finish(command))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith("Interrupted.")
    assert len(done.stderr.splitlines()) == 1
