"""A stand-in server, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lorry.delivery.ports import Platform
from lorry.platforms.together import connect
from tests.platforms.stand_in import KEY, StandIn
from tests.platforms.wire import serving

BASE = "lorry/base-64"


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    """Serve a stand-in whose catalog has near misses before the base that is meant."""
    stand_in = StandIn(
        supported=[
            {
                "id": f"arch_{n}",
                "name": name,
                "baseModel": f"projects/pub/models/ml_b{n}",
                "baseModelId": f"ml_b{n}",
            }
            for n, name in enumerate([f"{BASE}-turbo", f"old-{BASE}", BASE])
        ],
        configs=[
            {
                "id": f"cr_{count}",
                "projectId": "pub",
                "referenceModel": "projects/pub/models/ml_b2",
                "selectors": [{"key": "accelerator_count", "value": str(count)}],
            }
            for count in (4, 2, 1, 8)
        ],
    )
    async with serving(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
async def platform(server: StandIn) -> AsyncIterator[Platform]:
    """Connect to the stand-in, with parts of 1,000 bytes."""
    async with connect(server.url, KEY, part_size=1000) as connected:
        yield connected
