"""`Upstream` over pyreqwest: reqwest and hyper, written in Rust."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from time import perf_counter
from types import TracebackType

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import Cause, PyreqwestError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from lorry.generation.ports import AnswerCut, NotSent

#: Seconds until a connection counts as not made.
_CONNECT_SECONDS = 5.0
#: Seconds for which an idle connection is kept: less than servers usually do, so none is closed under us.
_IDLE_SECONDS = 50.0
#: An address whose large answers take longer to begin, seconds, has many requests open at once.
_SLOW_SECONDS = 1.0
#: Answers that may be large, of such an address, on connections that are kept, at once.
_LARGE_AT_ONCE = 32


class QuickUpstream:
    """Sends each request once.

    Args:
        seconds: What an answer may take in all.
        proxies: Whether the environment's proxies are used; none of them reaches this machine.
    """

    def __init__(self, seconds: float, *, proxies: bool = False) -> None:
        self._urls: dict[str, Url] = {}
        self._client = _client(seconds, proxies=proxies).build()
        # A connection that a large answer came by reads ahead as much when it is used again, whether anybody
        # takes it or not: 1.5 MB for each of 200 requests. So where answers take their time and many requests
        # are open, few of them are used at once: each other one has a new one, quickly made without TLS.
        self._open = 0
        self._slow: dict[str, bool] = {}
        self._leaving: set[asyncio.Future[None]] = set()
        self._fresh = _client(seconds, proxies=proxies).pool_max_idle_per_host(0).build()

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, live: bool) -> _Call:
        """Send a request once."""
        known = self._urls.get(url)
        if known is None:
            known = self._urls[url] = Url(url)  # parsed once: there are few addresses
        many = live and self._open >= _LARGE_AT_ONCE
        fresh = many and known.scheme == "http" and self._slow.get(url, True)
        client = self._fresh if fresh else self._client
        request = client.post(known).headers(headers).body_bytes(body)
        if live:  # by default the head, and each event of a stream, is held back until 64 kB have come
            request = request.streamed_read_buffer_limit(0)
        return _Call(request.build_streamed(), (self, url, fresh) if live else None)

    def opened(self, count: int) -> None:
        """Count a large answer on a connection that is kept, or its end."""
        self._open += count

    def leave(self, ending: asyncio.Future[None]) -> None:
        """Have a request end by itself."""
        self._leaving.add(ending)
        ending.add_done_callback(self._leaving.discard)

    def learned(self, url: str, seconds: float) -> None:
        """Learn how long an address takes to begin an answer that is large."""
        self._slow[url] = seconds > _SLOW_SECONDS

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()
        await self._fresh.close()
        for ending in self._leaving:
            ending.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)


def _client(seconds: float, *, proxies: bool) -> ClientBuilder:
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
    return builder if proxies else builder.no_proxy()


class _Call:
    """One request; a class of its own, since a generator costs as much as the rest of it."""

    __slots__ = ("_began", "_large", "_request")

    def __init__(self, request: StreamRequest, large: tuple[QuickUpstream, str, bool] | None) -> None:
        self._request, self._large = request, large
        self._began = 0.0

    async def __aenter__(self) -> _Reply:
        if self._large is None:
            return await self._begun()
        upstream, url, fresh = self._large
        self._began = perf_counter()
        if not fresh:
            upstream.opened(1)
        opening = asyncio.ensure_future(self._begun())
        try:
            reply = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Cancelled itself in the moment in which its head comes, it would be held to its very end.
            upstream.leave(asyncio.ensure_future(self._left(opening)))
            raise
        except BaseException:
            self._end()
            raise
        upstream.learned(url, perf_counter() - self._began)
        return reply

    async def _left(self, opening: asyncio.Future[_Reply]) -> None:
        """End a request that nobody waits for any more, as soon as its head has come."""
        try:
            await opening
        except (NotSent, AnswerCut):
            self._end()
        else:
            await self.__aexit__(None, None, None)

    async def _begun(self) -> _Reply:
        try:
            return _Reply(await self._request.__aenter__())
        except PyreqwestError as error:
            raise (NotSent if _unsent(error) else AnswerCut)(_told(error)) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._request.__aexit__(kind, error, trace)
        finally:
            self._end()

    def _end(self) -> None:
        if self._large is not None:
            upstream, _, fresh = self._large
            self._large = None
            if not fresh:
                upstream.opened(-1)


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
