"""`lorry check PATH` starts fast: it loads no parser and no machine-learning library, and says the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from lorry.cli.main import build, run
from tests.weights.files import build as built
from tests.weights.files import icons

#: What a check must not load: each takes longer than the check itself.
SLOW = (
    "torch",
    "diffusers",
    "peft",
    "transformers",
    "huggingface_hub",
    "cyclopts",
    "rich",
    "httpx",
    "httpx2",
)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A sound LoRA on disk."""
    path = tmp_path / "lora.safetensors"
    path.write_bytes(built(icons()))
    return path


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_check_loads_neither_a_parser_nor_torch(sound: Path, options: list[str]) -> None:
    """The whole process of a check, numbers included, gets by without any of the slow libraries."""
    script = (
        "import sys\nfrom lorry.cli.main import run\nstatus = run(sys.argv[1:])\n"
        f"print(sorted(set({SLOW!r}) & set(sys.modules)), file=sys.stderr)\nsys.exit(status)"
    )
    command = [sys.executable, "-c", script, "check", str(sound), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stderr.strip().splitlines()[-1]) == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_short_way_says_what_the_parser_s_way_says(
    sound: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A check without options is carried out past the parser; output and status are those of the command."""
    status = run(["check", str(sound), *options])
    short = capsys.readouterr()
    long = build()(
        ["check", str(sound), *options], exit_on_error=False, print_error=False, result_action="return_value"
    )
    assert (status, short.out) == (long, capsys.readouterr().out)


def test_a_path_that_looks_like_an_option_goes_to_the_parser() -> None:
    """What begins with a dash is never taken for a path."""
    assert run(["check", "--no-such-option"]) == 2
