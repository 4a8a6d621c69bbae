"""Ask servers that strangers named, over connections to addresses that were checked.

httpcore speaks HTTP over the gate's connections (gate.py). Redirects are followed here, so that each server
on the way is judged like the first, and a token never goes further than to the Hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote, urljoin, urlsplit

from lorry.weights.catalogue import StructureFault, fault
from lorry.weights.origins.access import Access, server_of, without_secrets
from lorry.weights.origins.gate import Gate

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

    @property
    def encoded(self) -> bool:
        """Whether the body is compressed although that was not asked for: its bytes are not the file's."""
        return self.headers.get("content-encoding", "").strip().lower() not in ("", "identity")

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
        hub: Whether it asks the Hub: only then is the token sent, and to the Hub's own server alone.
        gate: Gives the connections.
    """

    access: Access
    hub: bool = False
    gate: Gate = field(init=False, repr=False)
    _pool: httpcore.ConnectionPool | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.access, self.hub)

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

        self.gate.begin(self.access.limit if seconds is None else seconds)
        sent = {"accept-encoding": "identity", "user-agent": "lorry", **headers}
        kept: dict[str, str] = {}
        first = current = _ascii(url)
        if self.hub and self.access.hub_token and self._is_hub(first):
            sent["authorization"] = f"Bearer {self.access.hub_token}"
        for _ in range(HOPS_AT_MOST + 1):
            if not self._is_hub(current):  # once gone it does not come back, wherever the way leads
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

    def tell(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a POST once and give the status of its answer; nothing of the answer is read.

        Args:
            url: An http or https address.
            headers: Headers besides the usual ones.
            body: What to send.

        Raises:
            StructureFault: REMOTE_ADDRESS or REMOTE_UNREACHABLE.
        """
        import httpcore

        self.gate.begin(self.access.limit)
        where = _ascii(url)
        sent = {"user-agent": "lorry", "content-length": str(len(body)), **headers}
        with (
            _translated(where),
            self._opened(httpcore, where, sent, method="POST", content=body) as response,
        ):
            return int(response.status)

    def _is_hub(self, url: str) -> bool:
        return server_of(url) == server_of(self.access.hub_url)

    def _opened(
        self, httpcore: Any, url: str, headers: Mapping[str, str], method: str = "GET", content: Any = None
    ) -> Any:
        if self._pool is None:
            self._pool = httpcore.ConnectionPool(
                max_connections=1, network_backend=cast("httpcore.NetworkBackend", self.gate)
            )
        patience = self.access.patience
        timeouts = {"connect": patience, "read": patience, "write": patience, "pool": patience}
        return self._pool.stream(
            method, url, headers=list(headers.items()), content=content, extensions={"timeout": timeouts}
        )


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
    except httpcore.TimeoutException as error:
        raise fault("REMOTE_UNREACHABLE", f"{where} does not answer in time.", subject=where) from error
    except httpcore.NetworkError as error:
        message = f"{where} can't be reached: {_said(error)}."
        raise fault("REMOTE_UNREACHABLE", message, subject=where) from error
    except httpcore.LocalProtocolError as error:
        # Its text would quote the header that can't be written, and that may be the token.
        message = f"{where} can't be asked: the request holds signs that HTTP does not bear."
        raise fault("REMOTE_REFUSED", message, subject=where) from error
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
    except (StructureFault, ValueError):
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
