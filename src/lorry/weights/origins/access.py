"""How far a check may reach: which Hub, with what token, to which addresses, for how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lorry.weights.origins.addresses import Resolver, system_addresses

#: The public Hub.
HUB_URL = "https://huggingface.co"

#: Other names of the public Hub in links that people copy.
_HUB_NAMES = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})

_PORTS = {"https": 443, "http": 80}

#: A server: scheme, host name in lower case, port.
Server = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Access:
    """What a check is allowed to ask, and how long it waits.

    Attributes:
        hub_url: Address of the Hub, without a slash at the end.
        hub_token: Token for the Hub, sent to the Hub's own host and to nobody else.
        allow_private: Whether addresses of private networks and of this machine may be asked.
        patience: Seconds to wait for a connection, and for each further piece of an answer.
        limit: Seconds that one answer of up to 256 kB may take in all.
        addresses: Gives the addresses of a host name.
        clock: Gives seconds that only grow.
    """

    hub_url: str = HUB_URL
    hub_token: str | None = field(default=None, repr=False)
    allow_private: bool = False
    patience: float = 10.0
    limit: float = 30.0
    addresses: Resolver = field(default=system_addresses, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def is_hub(self, url: str) -> bool:
        """Tell whether a link leads to the Hub.

        Args:
            url: An http or https address.
        """
        server = server_of(url)
        if self.hub_url == HUB_URL:
            return server[0] == "https" and server[2] == 443 and server[1] in _HUB_NAMES
        below = urlsplit(url).path.startswith(f"{self.hub_path}/")
        return below and server == server_of(self.hub_url)

    @property
    def hub_path(self) -> str:
        """What stands before every path of the Hub; a mirror may lie in a folder of its server."""
        return urlsplit(self.hub_url).path


def server_of(url: str) -> Server:
    """Name the server of an address.

    Args:
        url: An http or https address.

    Raises:
        ValueError: It is none.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in _PORTS or not parts.hostname:
        raise ValueError(f"{url} is no http address")
    port = parts.port
    return (
        parts.scheme.lower(),
        parts.hostname.lower(),
        _PORTS[parts.scheme.lower()] if port is None else port,
    )


def without_secrets(url: str) -> str:
    """Write an address without its user name, password, query and fragment: signed links carry keys there.

    Args:
        url: An address.
    """
    head, slashes, rest = url.partition("://")
    server, slash, path = rest.partition("/")
    plain = f"{head}{slashes}{server.rpartition('@')[2]}{slash}{path}"
    return plain.partition("?")[0].partition("#")[0]
