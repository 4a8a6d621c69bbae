"""Single values of settings: each is accepted, or its problem is noted without repeating a secret."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lorry.redaction import shown

_Number = TypeVar("_Number", int, float)

_NUMBERS = {int: "whole number", float: "number"}

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def above_zero(given: tuple[str, Any], kind: type[_Number], problems: list[str]) -> _Number | None:
    """Accept a number above 0."""
    label, value = given
    try:
        number = kind(str(value))
    except ValueError:
        number = kind(0)
    if 0 < number < math.inf:
        return number
    problems.append(f"{label} is {value!r}; it must be a {_NUMBERS[kind]} above 0.")
    return None


def folder_at(given: tuple[str, Any], problems: list[str]) -> Path | None:
    """Accept a folder that is there."""
    label, value = given
    if not value:
        return None
    path = Path(str(value)).expanduser().absolute()
    if not path.is_dir():
        problems.append(f"{label} is {str(value)!r}, and there is no such folder.")
    return path


def secret(given: tuple[str, Any], what: str, problems: list[str]) -> str | None:
    """Accept a token or a key; what is said of it never repeats it."""
    label, value = given
    text = "" if value is None else str(value).strip()
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        problems.append(f"{label} holds signs that no {what} has.")
    return text or None


def database(given: tuple[str, Any], problems: list[str]) -> str | None:
    """Accept the address of a Postgres database; what is said of it never has its password."""
    label, value = given
    address = str(value or "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("postgresql", "postgres") and parts.port != 0
        named = bool(parts.path.strip("/"))
    except ValueError:  # a port beyond 65535, or a bracket too few
        usable = named = False
    if not usable:
        problems.append(f"{label} is {shown(repr(address))}; it must begin with postgresql://.")
    elif not named:
        problems.append(f"{label} names no database: add /NAME behind the host.")
    return f"postgresql://{address.partition('://')[2]}"


def api_root(given: tuple[str, Any], problems: list[str]) -> str:
    """Accept the root of an API: the official client adds `/v1` and `/v2` itself (dossier 8.1)."""
    label, value = given
    address = str(value).strip().rstrip("/")
    said = shown(repr(value))
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, or a bracket too few
        usable = False
    if not usable:
        problems.append(f"{label} is {said}, which is no http address.")
    elif parts.username is not None:
        problems.append(f"{label} is {said}; a login does not belong into it.")
    elif parts.path in ("/v1", "/v2"):
        problems.append(f"{label} is {said}; leave {parts.path} out, as it is added to each request.")
    elif parts.path or parts.query or parts.fragment:
        problems.append(f"{label} is {said}; give the root of the API, without a path.")
    return address


def truth(given: tuple[str, Any], problems: list[str]) -> bool:
    """Accept yes or no, in the usual words."""
    label, value = given
    if str(value).lower() not in _TRUTHS:
        problems.append(f"{label} is {value!r}; it can be true or false.")
    return _TRUTHS.get(str(value).lower(), False)


def http_address(given: tuple[str, Any], problems: list[str]) -> str | None:
    """Accept an http address, without the slash at its end."""
    label, value = given
    if value is None:
        return None
    if not str(value).startswith(("http://", "https://")):
        problems.append(f"{label} is {value!r}, which is no http address.")
    return str(value).rstrip("/")


def bucket(given: tuple[str, Any], problems: list[str]) -> str | None:
    """Accept the address of a bucket."""
    label, value = given
    if value is None:
        return None
    if not str(value).startswith("s3://") or len(str(value)) <= len("s3://"):
        problems.append(f"{label} is {shown(repr(value))}; it can be s3://BUCKET or s3://BUCKET/PREFIX.")
    return str(value).rstrip("/")


def chosen_among(given: tuple[str, Any], choices: tuple[str, ...], problems: list[str]) -> str:
    """Accept one of several words."""
    label, value = given
    if value not in choices:
        problems.append(f"{label} is {value!r}; it can be {' or '.join(choices)}.")
    return str(value)
