"""Work that ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from lorry.engine.api_errors import Refusal, Rpc

T = TypeVar("T")

#: What nginx writes down of a caller that closed its connection; nobody reads the answer.
_CLOSED = 499


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do something as long as whoever asked for it is there.

    Args:
        request: What they asked; its body has been read.
        work: What is done; called off when they go away.

    Raises:
        Refusal: They have.
    """
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise Refusal(Rpc.ABORTED, "The caller went away.", reason="caller_left", status=_CLOSED)
    finally:
        doing.cancel()
        leaving.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
