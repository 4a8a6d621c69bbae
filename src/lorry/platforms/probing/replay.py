"""A server of saved answers: what a client does with them can be tried without the service.

It is an ASGI application: hand it to any server, at an address of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from lorry.platforms.probing.fixtures import load

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Replay:
    """Answers each read as it was answered once; everything else is refused in the words of `/v2`.

    Args:
        folder: What `fixtures.save` wrote into.

    Attributes:
        asked: Methods and paths, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._saved = list(load(folder))
        self.asked: list[str] = []

    async def __call__(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        while (await receive()).get("more_body"):
            pass
        self.asked.append(f"{scope['method']} {scope['path']}")
        found = self.find(scope["method"], scope["path"], dict(parse_qsl(scope["query_string"].decode())))
        body = json.dumps(found["body"]).encode()
        headers = {**found["headers"], "content-type": "application/json", "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": found["status"], "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def find(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Find the saved answer whose path is the same and whose query is the nearest.

        Args:
            method: Of the request.
            path: Of the request.
            query: Its parameters.
        """
        if method != "GET":
            return _refusal(501, 12, f"Saved answers are for reading; {method} {path} is not among them.")
        there = [saved for saved in self._saved if saved["request"]["path"] == path]
        if not there:
            return _refusal(404, 5, f"There is no saved answer for {path}.")
        return max(there, key=lambda saved: _likeness(saved["request"]["query"], query))


def _likeness(saved: Mapping[str, str], asked: Mapping[str, str]) -> int:
    """Count parameters that are the same, less those that only one of the two has."""
    same = set(saved.items()) & set(asked.items())
    return 2 * len(same) - len(set(saved.items()) ^ set(asked.items()))


def _refusal(status: int, code: int, message: str) -> dict[str, Any]:
    return {"status": status, "headers": {}, "body": {"code": code, "message": message, "details": []}}
