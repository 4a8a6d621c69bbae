"""What may be an address and a key, before anything is sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from lorry.errors import SettingInvalid


def root(base_url: str) -> str:
    """Accept the address of an API, or say what is wrong with it.

    Args:
        base_url: What was set.

    Returns:
        The same without a slash at its end.

    Raises:
        SettingInvalid: It is no http address, or has a path.
    """
    address = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        path = parts.path
    except ValueError:  # a port beyond 65535, or a bracket too few
        fine, path = False, ""
    if fine and not path:
        return address
    problem = "has a path" if fine else "is no http address"
    raise SettingInvalid(
        f"The platform's address {base_url!r} {problem}.",
        fix="Give the root of the API, such as https://api.together.ai, without /v1.",
        evidence={"address": base_url},
    )


def require_key(key: str) -> None:
    """Accept a key that can stand in a header.

    Args:
        key: What was set.

    Raises:
        SettingInvalid: It is empty or can't be a key; the message does not repeat it.
    """
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingInvalid(
            "The platform's key is empty or has characters that no key has (blanks, line ends, accents).",
            fix="Copy the key once more, without quotes and blanks.",
        )


def is_loopback(address: str) -> bool:
    """Tell whether an address is on this machine.

    Args:
        address: An http or https address.
    """
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
