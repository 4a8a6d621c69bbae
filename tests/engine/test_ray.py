"""Replicas on a real Ray, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra `ray`")

TESTS = Path(__file__).with_name("on_ray.py")


def test_replicas_on_a_real_ray() -> None:
    """All tests of `on_ray.py` pass, in a process that Ray may take signals and threads of."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(TESTS)]
    done = subprocess.run(command, cwd=TESTS.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "4 passed" in done.stdout
