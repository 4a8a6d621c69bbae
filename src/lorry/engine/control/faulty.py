"""The engine's application with faults in front of it: each request meets the one that waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorry.engine.api_errors import body_of
from lorry.engine.control.faults import Fault, Faults, Kind, owner_of

#: Where faults, time and invoices are asked for; no fault ever hits it.
CONTROL = "/_lorry/"

#: Told of what a request made: the fault, and its answer.
Doom = Callable[[Fault, dict[str, Any]], None]

#: Seconds that a lost answer's line is held when nothing is said: longer than any client waits.
_HELD = 600.0

_NO_CAPACITY = "Insufficient GPU capacity: no replica of the wanted hardware is free now."


class Faulty:
    """An application whose clients meet the faults that they asked for.

    Args:
        app: What answers.
        faults: What waits.
        doom: Brings about what happens to a thing after it was made.
    """

    def __init__(self, app: ASGIApp, faults: Faults, doom: Doom) -> None:
        self._app = app
        self._faults = faults
        self._doom = doom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        fault = self._met(scope)
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind in (Kind.REFUSE, Kind.CAPACITY):
            await _refusal(fault, scope["path"])(scope, receive, send)
        elif fault.kind is Kind.DELAY:
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        else:
            await self._acted(fault, scope, receive, send)

    def _met(self, scope: Scope) -> Fault | None:
        if not self._faults.any or scope["type"] != "http" or scope["path"].startswith(CONTROL):
            return None
        keys = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        return self._faults.take(owner_of(keys[0] if keys else ""), scope["method"], scope["path"])

    async def _acted(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request act, and do with its answer, or with what it made, what the fault says."""
        kept = _Kept()
        await self._app(scope, receive, kept)
        if fault.kind is Kind.LOSE:
            await _hold(receive, fault.seconds or _HELD)
            await send({**kept.start, "headers": _sized(kept, len(kept.body) + 1)})
            return  # a body that is shorter than promised: the server cuts the line
        if fault.kind is Kind.CUT:
            await send({**kept.start, "headers": _sized(kept, len(kept.body) + 1)})
            half = kept.body[: len(kept.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            return
        if fault.kind is Kind.GARBLE:
            broken = kept.body[: max(1, len(kept.body) - 2)] + b"<"
            await send({**kept.start, "headers": _sized(kept, len(broken))})
            await send({"type": "http.response.body", "body": broken})
            return
        if kept.start["status"] < 300:
            await asyncio.to_thread(self._doom, fault, json.loads(kept.body))
        await send({**kept.start, "headers": _sized(kept, len(kept.body))})
        await send({"type": "http.response.body", "body": kept.body})


class _Kept:
    """Keeps an answer instead of sending it."""

    def __init__(self) -> None:
        self.start: dict[str, Any] = {"type": "http.response.start", "status": 500, "headers": []}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = dict(message)
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _sized(kept: _Kept, size: int) -> list[tuple[bytes, bytes]]:
    others = [(name, value) for name, value in kept.start["headers"] if name.lower() != b"content-length"]
    return [*others, (b"content-length", str(size).encode())]


async def _hold(receive: Receive, seconds: float) -> None:
    """Hold a line until its client gives up, or for so long."""

    async def given_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        async with asyncio.timeout(seconds):
            await given_up()
    except TimeoutError:
        return


def _refusal(fault: Fault, path: str) -> JSONResponse:
    if fault.kind is Kind.CAPACITY:
        message = fault.message or _NO_CAPACITY
        return JSONResponse(body_of(path, 503, message, "capacity_exhausted"), 503, dict(fault.headers))
    message = fault.message or f"This client asked to be refused with {fault.status}."
    body = fault.body if fault.body is not None else body_of(path, fault.status, message, None)
    return JSONResponse(body, fault.status, dict(fault.headers))
