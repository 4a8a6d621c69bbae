"""The house stands: imports go down only, heavy libraries stay in their rooms, nothing happens on import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lorry

ROOT = Path(lorry.__file__).parent

#: From the ground up; a room may import rooms of lower floors, and of its own floor only itself.
FLOORS = (
    ("errors", "model", "redaction"),
    ("daemon_thread", "listening", "publication", "settings", "weights"),
    ("journal",),
    ("container", "delivery", "generation", "spend", "training"),
    ("platforms", "hub", "store", "engine", "server", "upstream"),
    ("wiring",),
    ("api",),
    ("cli", "hooks"),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: Which rooms may name a heavy library (design.md, rule 3).
HEAVY = {
    "torch": ("engine/renderers", "engine/language", "training"),
    "diffusers": ("engine/renderers", "training"),
    "peft": ("engine/renderers", "engine/language", "training"),
    "transformers": ("engine/renderers", "engine/language", "training", "hooks/callback.py"),
    "onnxruntime": ("engine/renderers",),
    "tokenizers": ("engine/renderers", "engine/language"),
    "together": ("platforms/together",),
    "huggingface_hub": ("hub.py",),
    "dbos": ("delivery/durable.py", "delivery/durable_opening.py"),
    "ray": ("engine/ray.py",),
    "fastapi": ("engine", "server"),
    "jinja2": ("server/pages", "engine/language"),
    "cyclopts": ("cli",),
    "aiohttp": ("upstream",),
    "httptools": ("upstream",),
    "prometheus_client": ("server", "engine/drawing/figures.py"),
    "opentelemetry": ("server", "wiring"),
    "obstore": ("store/bucket.py",),
}


def _modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(_named(path))


def _named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            if node.module == "lorry":
                yield from (f"lorry.{alias.name}" for alias in node.names)


def _room(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def test_imports_go_down_only() -> None:
    """No room imports a room of its own floor or of a higher one, not even inside a function."""
    wrong = []
    for path in _modules():
        room = _room(path)
        if room == "__init__":
            continue  # the public names are checked in test_public_names.py
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] != "lorry" or len(parts) < 2 or parts[1] == room:
                continue
            if FLOOR[parts[1]] >= FLOOR[room] and not (FLOOR[room] == FLOOR[parts[1]] == 0):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_two_readings_of_the_api_do_not_know_each_other() -> None:
    """`engine` and `platforms` never import each other (design.md, rule 1)."""
    for path in _modules():
        other = {"engine": "lorry.platforms", "platforms": "lorry.engine"}.get(_room(path))
        if other:
            assert not [name for name in _imports(path) if name.startswith(other)], path


@pytest.mark.parametrize("library", HEAVY)
def test_a_heavy_library_is_named_in_its_room_only(library: str) -> None:
    """A heavy or vendor library has one room, and nothing else names it (design.md, rule 3)."""
    rooms = HEAVY[library]
    for path in _modules():
        place = path.relative_to(ROOT).as_posix()
        if library in {name.split(".")[0] for name in _imports(path)}:
            assert place.startswith(rooms), f"{place} imports {library}"


@pytest.mark.parametrize(
    "statement",
    [
        "import lorry; lorry.Lorry",
        "import lorry.settings, lorry.wiring",
        "from lorry.cli.main import run; run(['--version'])",
        "from lorry.cli.main import run; run(['check', 'no-such-file'])",
        "import lorry.weights, lorry.delivery, lorry.generation, lorry.journal, lorry.publication",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(statement: str) -> None:
    """Importing Lorry, asking its version and checking a file load none of the heavy libraries."""
    heavy = [*sorted(HEAVY), "sqlalchemy", "numpy", "PIL", "httpx", "uvicorn", "alembic"]
    allowed = {"cyclopts"}  # the parser itself
    script = f"{statement}\nimport sys; print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stderr.strip().splitlines()[-1])) - allowed
    assert loaded == set()


def test_modules_stay_small() -> None:
    """No module outgrows 300 lines and no function 60: what does is split by meaning."""
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 360, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}:{node.name}"
