"""What the README shows is true: its example runs, its files and commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lorry.cli.engine_process import engine_process
from lorry.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_python_example_runs(tmp_path: Path) -> None:
    """The README's example, copied into a file, ships and generates against a running engine."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "example.py").write_text(code[0])
    home = tmp_path / "home"
    with engine_process(home, tmp_path / "engine.log"):
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env={"LORRY_HOME": str(home), "PATH": "", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tok.png").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_and_command_of_a_page_exists(page: Path) -> None:
    """Relative links lead to files that exist, and every `lorry COMMAND` is a command."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for command in re.findall(r"`(?:\.venv/bin/)?lorry ([a-z]+)", text):
        assert command in COMMANDS, f"{page.name} names `lorry {command}`"
