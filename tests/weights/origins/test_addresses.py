"""No connection is made to an address that was not judged, and every wait has an end."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.catalogue import StructureFault
from lorry.weights.origins.access import Access
from lorry.weights.origins.addresses import forbidden, system_addresses
from lorry.weights.origins.gate import Gate
from lorry.weights.origins.web import Web
from tests.hub.loopback import free_address
from tests.weights.origins.scripted import Server, answer


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0",  # noqa: S104 - not bound
     "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1",
     "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
     "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
     "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::",
     "100::1", "no address", ""],
)  # fmt: skip
def test_what_is_not_public_is_refused(address: str) -> None:
    """Every special range is refused, also when an IPv4 address hides in an IPv6 one."""
    assert forbidden(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "100.63.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_what_is_public_may_be_asked(address: str) -> None:
    """Public addresses are not refused, also those that a NAT64 network maps."""
    assert forbidden(address) is None


@given(st.ip_addresses())
def test_nothing_that_is_not_global_passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever passes is a global unicast address, or carries one."""
    if forbidden(str(address)) is None:
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        nat = int(address) & 0xFFFFFFFF if int(address) >> 32 == 0x64FF9B << 64 else None
        judged = inner or (ipaddress.IPv4Address(nat) if nat is not None else address)
        assert judged.is_global
        assert not judged.is_multicast


def gate(*answers: list[str]) -> Gate:
    """Give a gate whose names have these addresses, one answer after the other."""
    rest = list(answers)
    made = Gate(Access(addresses=lambda _host, _port, _patience: rest.pop(0)))
    made.begin(10)
    return made


def test_one_private_address_among_public_ones_is_enough() -> None:
    """A name that has a private address besides public ones is refused as a whole."""
    with pytest.raises(StructureFault) as caught:
        gate(["8.8.8.8", "10.0.0.1"]).addresses("a.example", 443)
    assert caught.value.finding.code == "REMOTE_ADDRESS"
    assert caught.value.finding.evidence["address"] == "10.0.0.1"


def test_a_name_that_changes_its_address_is_judged_each_time() -> None:
    """A name that is public when it is first looked up and private later (DNS rebinding) is refused later."""
    flipping = gate(["8.8.8.8"], ["127.0.0.1"])
    assert flipping.addresses("a.example", 443) == ["8.8.8.8"]
    with pytest.raises(StructureFault):
        flipping.addresses("a.example", 443)


def test_the_connection_goes_to_the_address_that_was_judged(server: Server) -> None:
    """A name is looked up once; the connection goes to that answer, and the server is still told the name."""
    server.answers["/x"] = answer(b"content")
    looked: list[str] = []

    def once(host: str, _port: int, _patience: float) -> list[str]:
        looked.append(host)
        assert len(looked) == 1
        return ["127.0.0.1"]

    access = Access(allow_private=True, addresses=once)
    with Web(access) as web, web.ask(f"http://weights.example:{server.port}/x", {}) as found:
        assert found.read(100) == b"content"
    assert looked == ["weights.example"]
    assert server.asked[0].headers["host"] == f"weights.example:{server.port}"


def test_the_second_address_is_tried_when_the_first_does_not_answer(server: Server) -> None:
    """Of several addresses, all judged, the first that answers is taken."""
    server.answers["/x"] = answer(b"content")
    closed = int(free_address().rpartition(":")[2])
    access = Access(allow_private=True, addresses=lambda *_: ["::1", "127.0.0.1"])
    with Web(access) as web, web.ask(f"http://weights.example:{server.port}/x", {}) as found:
        assert found.read(100) == b"content"
    lost = f"http://weights.example:{closed}/x"
    with Web(access) as web, pytest.raises(StructureFault) as caught, web.ask(lost, {}):
        pass
    assert caught.value.finding.code == "REMOTE_UNREACHABLE"


def test_tls_is_for_the_name_and_not_for_the_address() -> None:
    """The greeting of an encrypted connection names the host: the certificate has to be that name's."""
    greeted: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                greeted.append(connection.recv(65536))

        thread = threading.Thread(target=greet)
        thread.start()
        access = Access(allow_private=True, addresses=lambda *_: ["127.0.0.1"])
        url = f"https://weights.example:{listener.getsockname()[1]}/x"
        with Web(access) as web, pytest.raises(StructureFault) as caught, web.ask(url, {}):
            pass
        thread.join()
    assert b"weights.example" in greeted[0]
    assert caught.value.finding.code == "REMOTE_UNREACHABLE"


def test_a_name_without_an_address_is_told() -> None:
    """A name that nobody knows is unreachable; the sentence names it."""

    def unknown(_host: str, _port: int, _patience: float) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    lost = Gate(Access(addresses=unknown))
    lost.begin(10)
    with pytest.raises(StructureFault) as caught:
        lost.addresses("none.example", 443)
    assert caught.value.finding.code == "REMOTE_UNREACHABLE"
    assert "none.example" in caught.value.finding.message


def test_the_system_knows_loopback_in_every_spelling() -> None:
    """Addresses in unusual spellings are what the system takes them for, and are judged as that."""
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1"):
        assert [forbidden(found) for found in system_addresses(host, 80, 5)] == ["this machine"]
    with pytest.raises(OSError, match="host name"):
        system_addresses("a" * 70 + ".example", 80, 5)
