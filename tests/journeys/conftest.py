"""A user's terminal: the program started as a user starts it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lorry.cli.engine_process import EngineProcess, engine_process

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Terminal:
    """Runs `lorry` in a folder, with a home in it."""

    folder: Path
    home: Path

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "lorry", *arguments],
            cwd=self.folder,
            env={**os.environ, "LORRY_HOME": str(self.home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; a training takes long where other tests have the processor too."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=900 if arguments[0] == "train" else 120)
        assert "Traceback" not in out + err, out + err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed and give what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def data(self, *arguments: str) -> Any:
        """Run a command with `--json` that must succeed and give its document."""
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """Give a terminal in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Terminal(folder, tmp_path / "home")


@pytest.fixture
def engine(terminal: Terminal) -> Iterator[EngineProcess]:
    """Run the engine on the terminal's home, as `lorry engine` in a second terminal would."""
    with engine_process(terminal.home, terminal.home / "engine.log") as running:
        yield running


def alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
