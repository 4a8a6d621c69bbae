"""Which addresses of the network may be asked for a file that a stranger named.

A link may lead to this machine, to a neighbour in the private network, or to the place where a cloud keeps
its keys (169.254.169.254). The ranges are those of IANA's special-purpose address registries (RFC 6890), as
Python's `ipaddress` knows them; addresses that carry another one inside are unwrapped first: IPv4-mapped
(RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

#: Gives the addresses of a host name, in the order in which they should be tried; waits at most so long.
Resolver = Callable[[str, int, float], list[str]]

_NAT64 = IPv6Network("64:ff9b::/96")


def forbidden(text: str) -> str | None:
    """Say why an address may not be asked; `None` when it is a public one.

    Args:
        text: An IPv4 or IPv6 address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "no address"
    inner = _carried(address)
    if inner is not None:
        return forbidden(str(inner))
    for word, matches in (
        ("this machine", address.is_loopback or address.is_unspecified),
        ("a link-local network, where clouds keep their keys", address.is_link_local),
        ("a multicast group", address.is_multicast),
        ("a private network", address.is_private or _is_shared(address) or _is_site(address)),
        ("a reserved range", address.is_reserved or not address.is_global),
    ):
        if matches:
            return word
    return None


def system_addresses(host: str, port: int, patience: float) -> list[str]:
    """Ask the system for the addresses of a host name.

    Args:
        host: A name or an address in any spelling that the system takes.
        port: The port that is meant.
        patience: Seconds to wait; the system itself may wait for minutes.

    Raises:
        OSError: There is no such name, or no answer came in time.
    """
    answer: list[str] = []
    failure: list[OSError] = []

    def look() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.extend(dict.fromkeys(str(row[4][0]) for row in rows))
        except OSError as error:
            failure.append(error)
        except UnicodeError:
            failure.append(OSError(f"{host!r} can't be a host name"))

    thread = threading.Thread(target=look, name="lorry-addresses", daemon=True)
    thread.start()
    thread.join(patience)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer about the name within {patience:g} s")
    return answer


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _is_site(address: IPv4Address | IPv6Address) -> bool:
    """Tell the old private range of IPv6 (RFC 3879), which Python calls global."""
    return isinstance(address, IPv6Address) and address.is_site_local


def _is_shared(address: IPv4Address | IPv6Address) -> bool:
    """Tell the carriers' shared range (RFC 6598), which Python calls neither private nor global."""
    return isinstance(address, IPv4Address) and int(address) >> 22 == int(IPv4Address("100.64.0.0")) >> 22
