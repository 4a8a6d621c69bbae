"""Names of models and of what they become at a platform."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lorry.errors import NameInvalid

# Hub repositories, Together endpoints and DNS labels all take this alphabet; 40 leaves room for the prefix
# and the digest within the 63 characters of a DNS label.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])")


def parse_name(text: str) -> str:
    """Accept a model's name or say what is wrong with it.

    Args:
        text: What the user typed.

    Returns:
        The same text.

    Raises:
        NameInvalid: It is not 2 to 40 lower-case letters, digits and inner hyphens.
    """
    if _NAME.fullmatch(text) and "--" not in text:
        return text
    raise NameInvalid(f"{text!r} can't be a model's name.", evidence={"name": text})


def provider_name(model: str, digest: str) -> str:
    """Give the deterministic name under which a model's things are created and found again.

    Args:
        model: The model's name.
        digest: SHA-256 of its files, hex.
    """
    return f"lorry-{model}-{digest[:8]}"


#: How an expiry stands at the end of a name at a platform: `-until-202611301530`, minutes, UTC.
_UNTIL = re.compile(r"(?P<name>.+)-until-(?P<until>\d{12})")
_MINUTE = "%Y%m%d%H%M"

#: What every name begins with that Lorry gives to something at a platform.
OURS = "lorry-"


def stamped(name: str, until: datetime) -> str:
    """Give a name that says until when its thing may run; the minute that has begun still counts.

    Args:
        name: Bare name of something that bills.
        until: When its lease ends, aware.
    """
    whole = until.astimezone(UTC)
    if whole.second or whole.microsecond:
        whole += timedelta(minutes=1)
    return f"{name}-until-{whole:{_MINUTE}}"


def unstamped(name: str) -> tuple[str, datetime | None]:
    """Split a name that may say until when its thing may run.

    Args:
        name: Bare name of something at a platform.

    Returns:
        The name without that, and the time, UTC; `None` where it says none.
    """
    found = _UNTIL.fullmatch(name)
    if found is None:
        return name, None
    try:
        return found["name"], datetime.strptime(found["until"], _MINUTE).replace(tzinfo=UTC)
    except ValueError:  # twelve digits that are no time
        return name, None
