"""`Upstream` over aiohttp, which knows proxies."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import aiohttp

from lorry.generation.ports import AnswerCut, NotSent

_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 50.0


class SteadyUpstream:
    """Sends each request once; aiohttp repeats only what is no POST (aio-libs/aiohttp#10790).

    Args:
        seconds: What an answer may take in all.
        proxies: Whether the environment's proxies are used.
    """

    def __init__(self, seconds: float, *, proxies: bool = False) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS),
            trust_env=proxies,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "lorry", "Accept-Encoding": "identity"},
        )

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> _Call:
        """Send a request once."""
        return _Call(self._session.post(url, headers=headers, data=body, allow_redirects=False))

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


class _Call:
    __slots__ = ("_request",)

    def __init__(self, request: aiohttp.client._RequestContextManager) -> None:
        self._request = request

    async def __aenter__(self) -> _Reply:
        try:
            return _Reply(await self._request.__aenter__())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotSent(str(error)) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AnswerCut(str(error) or type(error).__name__) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._request.__aexit__(kind, error, trace)


class _Reply:
    __slots__ = ("_response",)

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes | None:
        try:
            return await self._response.content.readany() or None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AnswerCut(str(error) or type(error).__name__) from error
