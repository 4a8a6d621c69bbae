"""The only way to a connection: every address is judged before it is asked, and every wait has an end.

It is what httpcore calls a network backend. A host name is looked up once, all its addresses are judged, and
the connection goes to a judged one: a second look-up, which could answer otherwise, never happens.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, cast

from lorry.weights.catalogue import fault
from lorry.weights.origins.access import HUB_URL, Access, server_of
from lorry.weights.origins.addresses import forbidden

#: Seconds for an address when another one is left: many machines have an IPv6 that leads nowhere.
_QUICK = 3.0


@dataclass(slots=True)
class Gate:
    """Connections for one client.

    Attributes:
        access: What may be asked.
        hub: Whether the Hub is asked; its own server may then lie in a private network.
    """

    access: Access
    hub: bool = False
    _began: float = 0.0
    _until: float = 0.0

    def begin(self, seconds: float) -> None:
        """Start the time of an answer.

        Args:
            seconds: How long all of it may take.
        """
        self._began = self.access.clock()
        self.extend(seconds)

    def extend(self, seconds: float) -> None:
        """Say how long the present answer may take in all.

        Args:
            seconds: Counted from its beginning.
        """
        self._until = self._began + seconds

    def left(self, timeout: float | None) -> float:
        """Give the seconds that are left for a step.

        Args:
            timeout: What the step may take on its own.

        Raises:
            StructureFault: REMOTE_UNREACHABLE, none are left.
        """
        left = self._until - self.access.clock()
        if left <= 0:
            raise fault(
                "REMOTE_UNREACHABLE",
                f"The server is too slow: its answer took longer than {self._until - self._began:.0f} s.",
            )
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
            message = f"The name {host} has no address: {error.strerror or error}."
            raise fault("REMOTE_UNREACHABLE", message, subject=host) from error
        if not self._may_be_private(host, port):
            for address in found:
                why = forbidden(address)
                if why is not None:
                    message = f"{host} is {address}, which belongs to {why}; it is not asked."
                    raise fault("REMOTE_ADDRESS", message, subject=host, address=address)
        return found

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> Timed:
        """Connect to the first judged address that answers; see httpcore's NetworkBackend."""
        import httpcore

        failure: Exception | None = None
        found = self.addresses(host, port)
        for number, address in enumerate(found, 1):
            left = self.left(timeout if number == len(found) else min(timeout or _QUICK, _QUICK))
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return Timed(self, stream)
        raise failure or httpcore.ConnectError("the name has no address")

    def _may_be_private(self, host: str, port: int) -> bool:
        if self.access.allow_private:
            return True
        own = self.hub and self.access.hub_url != HUB_URL
        return own and (host.lower(), port) == server_of(self.access.hub_url)[1:]


class Timed:
    """A stream of httpcore whose every step ends with the time of the answer; see its NetworkStream."""

    def __init__(self, gate: Gate, stream: Any) -> None:
        self._gate, self._stream = gate, stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return cast("bytes", self._stream.read(max_bytes, self._gate.left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, self._gate.left(timeout))

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Timed:
        """Encrypt it; the certificate has to be one of the name, whatever the address was."""
        return Timed(
            self._gate, self._stream.start_tls(ssl_context, server_hostname, self._gate.left(timeout))
        )

    def get_extra_info(self, info: str) -> Any:
        """Ask the stream."""
        return self._stream.get_extra_info(info)
