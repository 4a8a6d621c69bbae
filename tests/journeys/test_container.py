"""A container as a user runs one: files, deploy, jobs, logs, and its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.journeys.conftest import Terminal

R = "--rehearse"


@pytest.mark.usefixtures("engine")
def test_a_container_from_its_files_to_a_picture(terminal: Terminal, tmp_path: Path) -> None:
    """init, deploy, status, submit, job, logs and destroy; each refusal says what to do."""
    box = str(tmp_path / "worker-box")
    assert "worker.py" in terminal.ok("container", "init", box, "--base", "lorry/flux-icons-64")
    refused = terminal.run("container", "deploy", box, "--image", "lorry-worker", R)
    assert (refused.returncode, "price_not_accepted" in refused.stderr) == (1, True)
    made = terminal.data("container", "deploy", box, "--image", "lorry-worker", R, "--yes")
    assert (made["name"], made["state"]) == ("worker-box", "ready")
    job = terminal.data("container", "submit", "worker-box", "a cat", R, "--size", "128")["job"]
    picture = tmp_path / "cat.png"
    for _ in range(50):  # each look is a process: pause enough
        seen = terminal.data("container", "job", "worker-box", job, R, "-o", str(picture))
        if seen["state"] not in ("pending", "running"):
            break
    assert seen["state"] == "done"
    with Image.open(picture) as drawn:
        assert drawn.size == (128, 128)
    jobs = terminal.data("container", "status", "worker-box", R)["jobs"]
    assert (jobs["running"], jobs["waiting"]) == (0, 0)
    assert any(job in line for line in terminal.data("container", "logs", "worker-box", R)["lines"])
    terminal.ok("container", "destroy", "worker-box", R)
    gone = terminal.run("container", "status", "worker-box", R)
    assert (gone.returncode, "not_there" in gone.stderr) == (1, True)
