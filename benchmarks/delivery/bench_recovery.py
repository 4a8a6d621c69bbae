"""How soon another worker goes on with the deliveries of one that was killed.

    python benchmarks/delivery/bench_recovery.py [KILLS]

Two `lorry worker` run, and a delivery waits at the embedded engine. The worker that has it is killed with
SIGKILL; the time ends when the other one tells that it goes on. Workers of one home see that at once, by a
file that is locked as long as its owner lives; those of two homes over one Postgres when the lease has ended,
which is what the ratio is taken against.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ground import ROOT, share

from lorry.delivery import Policy
from lorry.engine.pace import Pace
from lorry.engine.testing import running_engine
from tests.postgres import binaries, running_postgres


class Worker:
    """`lorry worker` in a process of its own, which waits for deliveries when this is made."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._told: queue.Queue[str] = queue.Queue()
        self._process = lorry(home, "worker")
        threading.Thread(target=self._listen, daemon=True).start()
        self.tells("A worker waits")

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._told.put(line)

    def tells(self, part: str) -> None:
        """Wait until it prints something."""
        while part not in self._told.get(timeout=60):
            pass

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()


def lorry(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a home."""
    return subprocess.Popen(
        [sys.executable, "-m", "lorry", *arguments],
        env={**os.environ, "LORRY_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def main(kills: int) -> None:
    """Kill workers over files, then over Postgres, and print the table."""
    print("| workers | kills | p50 | p95 | p95 of the lease |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _print("of one home, over its files", _recover(place / "files", (place / "home",) * 2, kills))
        postgres = binaries()
        if postgres is None:
            print("Postgres is not installed here.", file=sys.stderr)
            return
        with running_postgres(postgres) as server:
            server.run("CREATE DATABASE lorry")
            os.environ["LORRY_DATABASE_URL"] = server.address("lorry")
            homes = (place / "one", place / "two")
            _print("of two homes, over Postgres", _recover(place / "postgres", homes, kills))


def _print(label: str, seconds: list[float]) -> None:
    lease, late = Policy().lease, share(seconds, 0.95)
    print(f"| {label} | {len(seconds)} | {share(seconds, 0.5):.1f} s | {late:.1f} s | {late / lease:.2f} |")


def _recover(engine: Path, homes: tuple[Path, Path], kills: int) -> list[float]:
    """Kill the worker that has a delivery, again and again; gives how long each time took, seconds."""
    with running_engine(engine, pace=Pace.looks(1_000_000)) as running:
        os.environ["LORRY_ENGINE_URL"] = running.url
        busy, seconds = Worker(homes[0]), []
        for number in range(kills):
            name = f"tok-{number}"
            lorry(homes[0], "ship", str(ROOT / "examples/tok"), "--name", name, "--detach").communicate()
            busy.tells(name)
            idle = Worker(busy.home if homes[0] == homes[1] else homes[1 - number % 2])
            began = time.monotonic()
            busy.kill()
            idle.tells(name)
            seconds.append(time.monotonic() - began)
            lorry(homes[0], "cancel", name, "--undo").communicate()
            busy = idle
        busy.kill()
        return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
