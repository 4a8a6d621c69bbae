"""Ask servers that strangers named, over connections to addresses that were checked.

How it works: httpcore speaks HTTP; this module gives it its connections. A host name is looked up once, every
address it has is judged, and the connection goes to a judged address: a second look-up, which could answer
otherwise, never happens. TLS still verifies the name. Redirects are followed here, so that each is judged again.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote, urljoin, urlsplit

from lorry.weights.catalogue import StructureFault, fault
from lorry.weights.origins.access import HUB_URL, Access, server_of, without_secrets
from lorry.weights.origins.addresses import forbidden

if TYPE_CHECKING:
    import httpcore

#: The Hub redirects once to its store, and once more where a repository was renamed.
HOPS_AT_MOST = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT = ("x-repo-commit", "x-linked-etag", "x-linked-size")
#: Bytes a second below which a download is given up: what is slower takes hours for any LoRA.
SLOWEST = 65_536
_SAFE = "%/:=&?~+!$,;'()*@[]"  # signs of an address that mean something, and % of what is quoted already


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answers.

    Attributes:
        status: HTTP status.
        headers: Headers by name in lower case; what the Hub says about the file stays over its redirects.
        url: The address that answered at last.
        pieces: The body, in pieces of at most 64 kB.
    """

    status: int
    headers: Mapping[str, str]
    url: str
    pieces: Iterator[bytes]

    def read(self, limit: int) -> bytes:
        """Read the body up to a number of bytes; the rest is never asked for.

        Args:
            limit: Bytes.
        """
        content = bytearray()
        while len(content) < limit:
            piece = next(self.pieces, None)
            if piece is None:
                break
            content += piece[: limit - len(content)]
        return bytes(content)


@dataclass(slots=True)
class Web:
    """A client for the length of one check.

    Attributes:
        access: What may be asked.
        hub: Whether it asks the Hub: only then is the token sent, to the Hub's own server alone, and only then
            may that server lie in a private network, when the settings name it.
    """

    access: Access
    hub: bool = False
    _until: float = 0.0
    _pool: httpcore.ConnectionPool | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    @contextmanager
    def ask(self, url: str, headers: Mapping[str, str], *, seconds: float | None = None) -> Iterator[Answer]:
        """Send a GET and follow its redirects.

        Args:
            url: An http or https address.
            headers: Headers besides the usual ones.
            seconds: How long all of it may take; the limit of `access` when omitted.

        Raises:
            StructureFault: REMOTE_ADDRESS, REMOTE_UNREACHABLE or REMOTE_REFUSED; also while the body is read.
        """
        import httpcore

        self._until = self.access.clock() + (self.access.limit if seconds is None else seconds)
        sent = {"accept-encoding": "identity", "user-agent": "lorry", **headers}
        if self.hub and self.access.hub_token:
            sent["authorization"] = f"Bearer {self.access.hub_token}"
        kept: dict[str, str] = {}
        first = current = _ascii(url)
        for _ in range(HOPS_AT_MOST + 1):
            if server_of(current) != server_of(first):
                sent.pop("authorization", None)
            with _translated(current), self._opened(httpcore, current, sent) as response:
                told = _named(response.headers)
                if response.status not in _REDIRECTS:
                    yield Answer(response.status, kept | told, current, _pieces(response, current))
                    return
            # The Hub names commit and digest where it redirects; the store behind it knows only bytes.
            kept |= {name: told[name] for name in _KEPT if name in told}
            current = _next(current, told.get("location", ""))
        raise fault("REMOTE_REFUSED", f"{_shown(first)} redirects more than {HOPS_AT_MOST} times.")

    def _opened(self, httpcore: Any, url: str, headers: Mapping[str, str]) -> Any:
        if self._pool is None:
            self._pool = httpcore.ConnectionPool(
                max_connections=1, network_backend=cast("httpcore.NetworkBackend", _Doors(self))
            )
        patience = self.access.patience
        timeouts = {"connect": patience, "read": patience, "write": patience, "pool": patience}
        return self._pool.stream("GET", url, headers=dict(headers), extensions={"timeout": timeouts})

    def left(self, timeout: float | None) -> float:
        """Give the seconds that are left for a step.

        Args:
            timeout: What the step may take on its own.

        Raises:
            StructureFault: REMOTE_UNREACHABLE, none are left.
        """
        left = self._until - self.access.clock()
        if left <= 0:
            raise fault("REMOTE_UNREACHABLE", "The server is too slow: its answer took longer than allowed.")
        return left if timeout is None else min(left, timeout)

    def addresses(self, host: str, port: int) -> list[str]:
        """Look up a host once and judge every address it has.

        Args:
            host: Its name or address.
            port: The port that is meant.

        Raises:
            StructureFault: REMOTE_ADDRESS or REMOTE_UNREACHABLE.
        """
        patience = self.left(self.access.patience)
        try:
            found = self.access.addresses(host, port, patience)
        except OSError as error:
            raise fault(
                "REMOTE_UNREACHABLE", f"The name {host} has no address: {_said(error)}.", subject=host
            ) from error
        if not self._may_be_private(host, port):
            for address in found:
                why = forbidden(address)
                if why is not None:
                    message = f"{host} is {address}, which belongs to {why}; it is not asked."
                    raise fault("REMOTE_ADDRESS", message, subject=host, address=address)
        return found

    def _may_be_private(self, host: str, port: int) -> bool:
        if self.access.allow_private:
            return True
        own = self.hub and self.access.hub_url != HUB_URL
        return own and (host.lower(), port) == server_of(self.access.hub_url)[1:]


class _Doors:
    """How httpcore comes to a connection: its NetworkBackend, over judged addresses."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> _Timed:
        """Connect to the first judged address that answers."""
        import httpcore

        failure: Exception | None = None
        for address in self._web.addresses(host, port):
            left = self._web.left(timeout)
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Timed(self._web, stream)
        raise failure or httpcore.ConnectError("the name has no address")

    def sleep(self, seconds: float) -> None:
        """Never: nothing is tried twice."""
        raise NotImplementedError


class _Timed:
    """A stream of httpcore that ends with the time of its request."""

    def __init__(self, web: Web, stream: Any) -> None:
        self._web, self._stream = web, stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return cast("bytes", self._stream.read(max_bytes, self._web.left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, self._web.left(timeout))

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> _Timed:
        """Encrypt it; the certificate has to be one of the name, whatever the address was."""
        stream = self._stream.start_tls(ssl_context, server_hostname, self._web.left(timeout))
        return _Timed(self._web, stream)

    def get_extra_info(self, info: str) -> Any:
        """Ask the stream."""
        return self._stream.get_extra_info(info)


def download_seconds(size: int) -> float:
    """Give the seconds that a download may take.

    Args:
        size: Bytes.
    """
    return 60 + size / SLOWEST


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Say what httpcore's errors mean; all of them end the check of this file."""
    import httpcore

    where = _shown(url)
    try:
        yield
    except (httpcore.ConnectTimeout, httpcore.ReadTimeout, httpcore.WriteTimeout, httpcore.PoolTimeout) as error:
        raise fault("REMOTE_UNREACHABLE", f"{where} does not answer in time.", subject=where) from error
    except (httpcore.ConnectError, httpcore.ReadError, httpcore.WriteError) as error:
        message = f"{where} can't be reached: {_said(error)}."
        raise fault("REMOTE_UNREACHABLE", message, subject=where) from error
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        message = f"{where} broke the answer off, or speaks no HTTP: {_said(error)}."
        raise fault("REMOTE_UNREACHABLE", message, subject=where) from error


def _pieces(response: Any, url: str) -> Iterator[bytes]:
    with _translated(url):
        yield from response.iter_stream()


def _next(current: str, location: str) -> str:
    """Read where a redirect leads."""
    where = _shown(current)
    try:
        target = _ascii(urljoin(current, location)) if location else ""
        downgrade = bool(target) and current.startswith("https:") and not target.startswith("https:")
    except StructureFault:
        target, downgrade = "", False
    if not target:
        raise fault("REMOTE_REFUSED", f"{where} redirects to no address that can be asked.", subject=where)
    if downgrade:
        message = f"{where} redirects to {_shown(target)}, which is not encrypted."
        raise fault("REMOTE_REFUSED", message, subject=where)
    return target


def _ascii(url: str) -> str:
    """Write an address as HTTP wants it: the host in IDNA, other signs quoted, no user and no fragment."""
    try:
        scheme, host, port = server_of(url)
        parts = urlsplit(url)
        name = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise fault("REMOTE_REFUSED", f"{_shown(url)} is no address that can be asked.") from error
    server = f"[{name}]" if ":" in name else name
    if (scheme, port) not in (("https", 443), ("http", 80)):
        server += f":{port}"
    query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    return f"{scheme}://{server}{quote(parts.path or '/', safe=_SAFE)}{query}"


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _said(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text[:200] or type(error).__name__


def _shown(url: str) -> str:
    return without_secrets(url)
