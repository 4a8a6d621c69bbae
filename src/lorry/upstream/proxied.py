"""`Upstream` where the environment names a proxy."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lorry.generation.ports import Reply, Upstream


def proxies_named() -> bool:
    """Say whether HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or the system's settings name a proxy."""
    return bool(getproxies().keys() & {"http", "https", "all"})


class ProxiedUpstream:
    """Sends by the proxy what NO_PROXY does not except; this machine is never reached by one.

    Args:
        direct: Reaches a server by itself.
        by_proxy: Goes by what the environment says.
    """

    def __init__(self, direct: Upstream, by_proxy: Upstream) -> None:
        self._direct, self._by_proxy = direct, by_proxy
        self._ways: dict[str, Upstream] = {}

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AbstractAsyncContextManager[Reply]:
        """Send a request once."""
        way = self._ways.get(url)
        if way is None:
            host = urlsplit(url).hostname or ""
            way = self._direct if _is_here(host) or proxy_bypass(host) else self._by_proxy
            self._ways[url] = way
        return way.post(url, headers, body)

    async def close(self) -> None:
        """Close its connections."""
        await self._direct.close()
        await self._by_proxy.close()


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
