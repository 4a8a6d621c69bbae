"""A worker's process that is killed in the middle of a job, and the one that comes after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from together import Together

from lorry.container.claimed import CLAIM
from lorry.engine.testing import RunningEngine
from tests.engine.containers.conftest import BASE

NAME = "tok-worker"

#: The written worker.py; told to hang, its base says that it draws and then never ends.
SCRIPT = """
import sys, threading
from lorry.container.running import run
from lorry.engine.renderers.bench import open_bench

def opened(settings):
    bench = open_bench(settings)
    if sys.argv[1] == "hang":
        def draw(drawings):
            print("drawing", flush=True)
            threading.Event().wait()
        bench.draw = draw
    return bench

raise SystemExit(run(opened, ["--queue", "--host", "127.0.0.1", "--port", "0"]))
"""

#: Starts a worker's process.
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(engine: RunningEngine, tmp_path: Path) -> Iterator[Start]:
    """Give what starts workers; none outlives its test."""
    running: list[subprocess.Popen[str]] = []

    def begin(how: str) -> subprocess.Popen[str]:
        told = {
            "LORRY_BASE": BASE,
            "LORRY_LORA_CACHE": str(tmp_path / "loras"),
            "TOGETHER_API_BASE_URL": engine.url,
            "TOGETHER_API_KEY": "any",
            "TOGETHER_DEPLOYMENT_NAME": NAME,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, how],
            env={**os.environ, **told},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_the_job_of_a_killed_worker_is_drawn_by_the_next(
    engine: RunningEngine, together: Together, start: Start
) -> None:
    """SIGKILL while it draws: the job goes back when its claim ends, and the next worker draws it."""
    headers = {"Authorization": "Bearer any"}
    ask = {"model": NAME, "hostname": "first", "timeout": "0s"}
    httpx.get(f"{engine.url}/internal/v1/queue/retrieve", params=ask, headers=headers).raise_for_status()
    queue = together.beta.jig.queue
    job = queue.submit(model=NAME, payload={"prompt": "a cat", "seed": 1}).request_id

    first = start("hang")
    assert first.stdout is not None
    assert any(line == "drawing\n" for line in first.stdout)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert queue.retrieve(model=NAME, request_id=job).status == "running"  # nobody knows yet

    engine.advance(CLAIM)
    back = queue.retrieve(model=NAME, request_id=job)
    assert (back.status, back.retries) == ("pending", 1)
    assert f"said nothing for {CLAIM} s" in (back.warnings or [""])[0]

    second = start("draw")
    while (found := queue.retrieve(model=NAME, request_id=job)).status in ("pending", "running"):
        assert second.poll() is None
    assert (found.status, found.retries) == ("done", 1)
    assert [picture["seed"] for picture in (found.outputs or {})["images"]] == [1]  # type: ignore[attr-defined]
