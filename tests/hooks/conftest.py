"""An engine, and settings that reach it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorry.engine.testing import RunningEngine, running_engine
from lorry.settings import Settings


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    """Run an engine."""
    with running_engine(tmp_path / "engine") as running:
        yield running


@pytest.fixture
def settings(engine: RunningEngine, tmp_path: Path) -> Settings:
    """Give settings of a home that reaches it."""
    return Settings(tmp_path / "home", engine_url=engine.url)
