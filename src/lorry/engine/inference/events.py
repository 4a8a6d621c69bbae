"""Answers as server-sent events: one JSON object a line, `[DONE]` at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse

from lorry.engine.api_errors import Refusal, v1_error

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def as_events(chunks: AsyncGenerator[dict[str, Any]]) -> StreamingResponse:
    """Send chunks as they come.

    What goes wrong before the first one is an ordinary error with its own status; later it can only be a last
    event, which the official client raises (the SDK's `_streaming.py`).

    Args:
        chunks: The chunks; closed when nobody listens any more.

    Raises:
        Refusal: The first chunk could not be made.
    """
    first = await anext(chunks)
    return StreamingResponse(_lines(first, chunks), media_type="text/event-stream", headers=_HEADERS)


async def _lines(first: dict[str, Any], chunks: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[str]:
    async with aclosing(chunks):
        yield _event(first)
        try:
            async for chunk in chunks:
                yield _event(chunk)
        except Refusal as error:
            yield _event(v1_error(error.status, error.message, error.reason, error.param))
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"
