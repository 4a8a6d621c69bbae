"""The engine in this process, with time that a test turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lorry.engine.app import build
from lorry.engine.clock import ManualClock
from lorry.engine.config import EngineConfig
from lorry.engine.drawing.port import ImageServing
from lorry.engine.drawing.serving import Serving
from lorry.engine.hub.storage import Storage
from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.pace import Pace
from lorry.engine.renderers.port import Renderer
from lorry.engine.server import check_weights
from lorry.engine.testing import FlatRenderer
from lorry.engine.works import open_works
from lorry.settings import OWN_BASE
from tests.engine.samples import Api, write_adapter


@pytest.fixture
def clock() -> ManualClock:
    """Give the engine's time."""
    return ManualClock()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Give an adapter that fits all layers of the base model."""
    return write_adapter(tmp_path / "adapter")


@contextmanager
def opened(
    home: Path,
    clock: ManualClock,
    *,
    pace: Pace | None = None,
    renderer: Callable[[], Renderer] = FlatRenderer,
    serving: ImageServing | None = None,
    api_key: str | None = None,
    base: str = OWN_BASE,
) -> Iterator[Api]:
    """Open the engine of a home in this process."""
    config = EngineConfig(home, pace=pace or Pace.at_once(), api_key=api_key, base=base)
    engine = build(
        open_works(config, clock), serving or Serving(renderer), check_weights, lambda _: FlatLanguageModel()
    )
    with TestClient(engine.app, base_url="http://engine.test", raise_server_exceptions=False) as client:
        assert isinstance(engine.repositories, Storage)
        yield Api(client, engine.repositories)


@pytest.fixture
def api(home: Path, clock: ManualClock) -> Iterator[Api]:
    """Give an engine whose states advance at once."""
    with opened(home, clock) as api:
        yield api
