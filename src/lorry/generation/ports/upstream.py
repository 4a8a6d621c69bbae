"""The HTTP client of the hot path: a POST, sent once, and its answer piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class NotSent(Exception):
    """No connection could be made, so no byte of the request left."""


class AnswerCut(Exception):
    """The request was sent, and its answer did not come, or not to its end: it may have been carried out."""


class Reply(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    def header(self, name: str) -> str | None:
        """Give a header by its name, whatever its case; `None` when there is none."""

    def headers(self) -> Mapping[str, str]:
        """Give all headers, names in small letters; of several with one name, any."""

    async def read(self) -> bytes | memoryview | None:
        """Give the next piece of the body, to be used before the one after it; `None` at the end.

        No iterator: an asynchronous generator for each answer costs more than the reading.

        Raises:
            AnswerCut: It breaks off.
        """


class Upstream(Protocol):
    """A client that repeats nothing by itself and follows no redirect."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AbstractAsyncContextManager[Reply]:
        """Send a request once; leaving the block before the end of the answer ends the request.

        Args:
            url: Where to.
            headers: With it.
            body: All of it.

        Raises:
            NotSent: Nothing was sent.
            AnswerCut: It was sent, and no answer came.
        """

    async def close(self) -> None:
        """Close its connections."""
