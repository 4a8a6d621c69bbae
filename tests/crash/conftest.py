"""A runner that is killed and started again, and the table of what was tried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """How an order ended: `done`, `killed`, or `error` with its data."""

    status: str
    error: dict[str, Any] | None = None
    points: int = field(default=0, compare=False)


class Runner:
    """A warm process that forks for every order."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **order: Any) -> Answer:
        """Give an order and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the runner itself ended"
        return Answer(**json.loads(line))


@contextmanager
def running() -> Iterator[Runner]:
    """Run a runner."""
    # The Hub's client gives its own HTTP client bytes in a way that this one calls deprecated.
    warnings = ("-W", "error", "-W", "ignore:Use 'content=:DeprecationWarning")
    command = [sys.executable, *warnings, "-m", "tests.crash.runner"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield Runner(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start the runner once for a module."""
    with running() as started:
        yield started
