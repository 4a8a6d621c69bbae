"""An engine with a language model that needs no weights, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lorry.delivery.ports import Platform
from lorry.engine.pace import Pace
from lorry.engine.testing import RunningEngine, running_engine
from lorry.platforms.together import connect
from tests.platforms.text.hosting import KEY


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[RunningEngine]:
    """Run an engine in which validating, starting and loading take two looks each."""
    with running_engine(home, pace=Pace.looks(2), api_key=KEY) as running:
        yield running


@pytest.fixture
async def platform(engine: RunningEngine) -> AsyncIterator[Platform]:
    """Connect to the engine."""
    async with connect(engine.url, KEY) as connected:
        yield connected
