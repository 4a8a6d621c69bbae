"""The engine as a process of its own, that ends whatever happens to the one that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lorry.errors import EngineError

#: A cold start takes about a second on two cores; a loaded machine may need many.
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A running engine: its address, its process, and how long it took to answer."""

    url: str
    pid: int
    seconds: float


@contextmanager
def engine_process(home: Path, log: Path) -> Iterator[EngineProcess]:
    """Run an engine on a free loopback port for as long as the context lasts.

    The child ends when its standard input closes, so it ends even when this process is killed.

    Args:
        home: Folder of its state.
        log: File for what it prints.

    Raises:
        EngineError: It ended or stayed silent instead of answering; the end of its log is the evidence.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "lorry",
        "engine",
        "--port",
        "0",
        "--home",
        str(home),
        "--stop-with-stdin",
    ]
    began = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = _wait_for_address(child, home, log, began)
        yield EngineProcess(url, child.pid, time.monotonic() - began)
    finally:
        _stop(child)


def _wait_for_address(child: subprocess.Popen[bytes], home: Path, log: Path, began: float) -> str:
    from lorry.engine.discovery import running

    while time.monotonic() - began < _START_SECONDS:
        if child.poll() is not None:
            raise _did_not_start(f"The engine ended with status {child.returncode} while starting.", log)
        if url := running(home):
            return url
        time.sleep(_LOOK_SECONDS)
    raise _did_not_start(f"The engine did not answer within {_START_SECONDS:.0f} s.", log)


def _did_not_start(sentence: str, log: Path) -> EngineError:
    lines = log.read_text(errors="replace").strip().splitlines()[-10:]
    return EngineError(
        sentence, fix=f"Read {log}; run `lorry engine` to see it start.", evidence={"log": lines}
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
