"""What the README shows is true: its example runs, its files and commands exist."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lorry.cli.engine_process import engine_process
from lorry.cli.main import COMMANDS
from tests.server.ground import Places, Says, Sent, picture, place, settings_of, trained
from tests.server.running import running_gateway

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(page: Path) -> list[str]:
    """Give the Python examples of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/serve.md"])
def test_the_examples_of_clients_run(page: str, home: Path) -> None:
    """What a page does with an unmodified client works, but for the port, against a gateway."""
    settings = settings_of(home)
    desk = trained("dispatch", kind="text-lora", trigger=None)
    for name, model in (("tok", trained("tok")), ("dispatch", desk)):
        asyncio.run(place(settings, name, model=model))
    places = Places()
    events = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'

    def answer(sent: Sent) -> Says:
        stream = Says(200, events, {"content-type": "text/event-stream"})
        return stream if sent.body.get("stream") else picture(sent)

    places.answer = answer
    found = [each for each in examples(ROOT / page) if "base_url" in each]
    assert found
    with running_gateway(settings, places) as url:
        for code in found:
            names: dict[str, Any] = {}
            exec(code.replace("http://127.0.0.1:8700", url), names)  # noqa: S102 - our own page
            names["client"].close()  # an example leaves that to the end of its process
    assert places.sent


def test_the_python_example_runs(tmp_path: Path) -> None:
    """The README's example, copied into a file, ships and generates against a running engine."""
    [code] = [each for each in examples(ROOT / "README.md") if "asyncio.run" in each]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "example.py").write_text(code)
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
