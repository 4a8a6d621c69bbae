"""`Upstream` over pyreqwest: reqwest and hyper, written in Rust."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import Cause, PyreqwestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from lorry.generation.ports import AnswerCut, NotSent

#: Seconds until a connection counts as not made.
_CONNECT_SECONDS = 5.0
#: Seconds for which an idle connection is kept: less than servers usually do, so none is closed under us.
_IDLE_SECONDS = 50.0


class QuickUpstream:
    """Sends each request once.

    Args:
        seconds: What an answer may take in all.
        proxies: Whether the environment's proxies are used; none of them reaches this machine.
    """

    def __init__(self, seconds: float, *, proxies: bool = False) -> None:
        builder = (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=_CONNECT_SECONDS))
            .timeout(timedelta(seconds=seconds))
            .pool_idle_timeout(timedelta(seconds=_IDLE_SECONDS))
            .follow_redirects(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent("lorry")
        )
        self._client: Client = (builder if proxies else builder.no_proxy()).build()

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, live: bool) -> _Call:
        """Send a request once."""
        request = self._client.post(url).headers(headers).body_bytes(body)
        if live:  # by default the head, and each event of a stream, is held back until 64 kB have come
            request = request.streamed_read_buffer_limit(0)
        return _Call(request.build_streamed())

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


class _Call:
    """One request; a class of its own, since a generator costs as much as the rest of it."""

    __slots__ = ("_request",)

    def __init__(self, request: StreamRequest) -> None:
        self._request = request

    async def __aenter__(self) -> _Reply:
        try:
            return _Reply(await self._request.__aenter__())
        except PyreqwestError as error:
            raise (NotSent if _unsent(error) else AnswerCut)(_told(error)) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._request.__aexit__(kind, error, trace)


class _Reply:
    __slots__ = ("_read", "_response")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._read = response.body_reader.read_chunk

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str | None:
        return self._response.get_header(name)

    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> memoryview | None:
        try:
            piece = await self._read()
        except PyreqwestError as error:
            raise AnswerCut(_told(error)) from error
        return None if piece is None else memoryview(piece)


def _unsent(error: PyreqwestError) -> bool:
    """Say whether no byte of the request can have left.

    The classes of pyreqwest 0.15.1 do not tell: a connection that closes under a request that was sent is a
    `ConnectError` too, and an answer that takes too long a `ConnectTimeoutError`. What hyper itself says is
    only said of connections that were never made.
    """
    return any(cause["message"] == "client error (Connect)" for cause in _causes(error))


def _causes(error: PyreqwestError) -> list[Cause]:
    details = getattr(error, "details", None) or {}
    return details.get("causes") or []


def _told(error: PyreqwestError) -> str:
    """Give the innermost cause: the outer sentences only say that something went wrong."""
    causes = _causes(error)
    return causes[-1]["message"] if causes else error.message
