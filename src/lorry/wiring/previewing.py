"""Pictures while the embedded engine draws them, for the dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

from lorry.settings import Settings
from lorry.wiring import engine_address

#: Seconds that a step may take: a large base on a processor is slow.
_PATIENCE = 120.0


async def previewed(settings: Settings, name: str) -> AsyncIterator[str]:
    """Give the events of a picture; none where no engine answers, for the picture itself comes anyway.

    Args:
        settings: Where the engine is.
        name: What the request calls its pictures.
    """
    import httpx

    headers = {"Authorization": f"Bearer {settings.engine_key or 'lorry'}"}
    address = f"{engine_address(settings)}/v1/images/previews/{name}"
    try:
        async with (
            httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client,
            client.stream("GET", address, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    yield line.removeprefix("data: ")
    except httpx.HTTPError:
        return
