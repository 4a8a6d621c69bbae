"""An engine over HTTP, and an adapter to bring to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.samples import write_adapter


@pytest.fixture
def engine(home: Path) -> Iterator[RunningEngine]:
    """Give a running engine whose states advance at once."""
    with running_engine(home) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give what a user uploads: an adapter and a card, and a hidden and an empty file that stay behind."""
    made = tmp_path / "tok"
    write_adapter(made)
    (made / "README.md").write_text("# tok\n")
    (made / ".hidden").write_text("x")
    (made / "empty.txt").touch()
    return made
