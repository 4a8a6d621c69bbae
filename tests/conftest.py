"""What every test has: a wiped environment, a home of its own, and sockets to loopback only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import database, postgres

__all__ = ["database", "postgres"]

# How long a draw takes says how busy the machine is, and nothing of the law that is checked.
settings.register_profile("lorry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lorry")

#: What a process needs to run at all; everything else is taken away, keys and proxies first of all.
_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SYSTEMROOT",
    "OMP_NUM_THREADS",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = dict(os.environ)
    kept = {name: before[name] for name in _KEPT if name in before}
    user = tmp_path_factory.mktemp("user")
    os.environ.clear()
    os.environ.update(kept, HOME=str(user), XDG_DATA_HOME=str(user / "data"), HF_HOME=str(user / "hf"))
    # The official client would otherwise take a developer's stored login and talk to production.
    os.environ.update(TOGETHER_CREDENTIALS_PATH=str(user / "none"), TOGETHER_TELEMETRY_DISABLED="1", CI="1")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an empty home for Lorry's state."""
    return tmp_path / "home"
