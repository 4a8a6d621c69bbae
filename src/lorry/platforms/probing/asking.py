"""Asking: one GET after the other, to one address, and never more than allowed."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from lorry.errors import PlatformError
from lorry.platforms.probing.questions import MOST, Question
from lorry.platforms.together.addresses import is_loopback, require_key, root
from lorry.platforms.together.faults import Faults

#: Bytes of an answer that are read; the largest one, all shared models, has some hundred kilobytes.
LONGEST = 8 * 1024 * 1024

#: Headers of an answer that say something of the API and nothing of the account.
KEPT_HEADERS = (
    "content-type",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-tokenlimit-limit",
    "x-tokenlimit-remaining",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        question: What was asked.
        status: HTTP status; 0 when no answer came.
        seconds: Until the answer was there.
        body: JSON value; `None` where there is none.
        headers: Those of `KEPT_HEADERS` that came.
        fault: What our own errors make of it; `None` for a success.
    """

    question: Question
    status: int
    seconds: float
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: PlatformError | None = None


class Asker:
    """Asks one platform; it has no way to send anything but a GET.

    Args:
        http: Knows the address and the key.
        faults: How its faults are told.
    """

    def __init__(self, http: httpx.AsyncClient, faults: Faults) -> None:
        self._http = http
        self._faults = faults
        self.asked = 0

    async def ask(self, question: Question) -> Reply | None:
        """Ask a question; `None` when as much was asked as may be.

        Args:
            question: What.
        """
        if self.asked >= MOST:
            return None
        self.asked += 1
        began = time.monotonic()
        try:
            return await self._answered(question, began)
        except PlatformError as error:
            return Reply(question, 0, time.monotonic() - began, fault=error)

    async def _answered(self, question: Question, began: float) -> Reply:
        doing = f"answer {question.path}"
        with self._faults.translated(doing):
            async with self._http.stream("GET", question.path, params=dict(question.query)) as response:
                content = await _content(response)
        answer = httpx.Response(
            response.status_code, headers=_plain(response), content=content, request=response.request
        )
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        fault, body = None, _json(content)
        if not answer.is_success:
            fault = self._faults.refusal(answer, doing)
        elif body is None:
            fault = self._faults.unreadable("it is no JSON", doing)
        return Reply(question, answer.status_code, time.monotonic() - began, body, headers, fault)


@asynccontextmanager
async def open_asker(base_url: str, key: str, *, timeout: float = 20.0) -> AsyncIterator[Asker]:  # noqa: ASYNC109 - of each request
    """Connect to a platform for reading.

    Args:
        base_url: Root of the API, without `/v1`; nothing is asked anywhere else, redirects are not followed.
        key: The key.
        timeout: Seconds that one question may take.

    Raises:
        SettingInvalid: The address or the key is none.
    """
    address = root(base_url)
    require_key(key)
    async with httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
        trust_env=not is_loopback(address),  # a proxy of the environment can't reach this machine
    ) as http:
        from lorry.errors import Unreachable

        yield Asker(http, Faults(address, Unreachable, key))


async def _content(response: httpx.Response) -> bytes:
    blocks, size = [], 0
    async for block in response.aiter_bytes():
        size += len(block)
        if size > LONGEST:
            raise httpx.DecodingError(f"it is longer than {LONGEST:,} bytes", request=response.request)
        blocks.append(block)
    return b"".join(blocks)


def _plain(response: httpx.Response) -> list[tuple[str, str]]:
    """Give the headers of an answer whose content was unpacked already."""
    packed = {"content-encoding", "content-length", "transfer-encoding"}
    return [(name, value) for name, value in response.headers.multi_items() if name.lower() not in packed]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:  # bytes that are no text are one, too
        return None
