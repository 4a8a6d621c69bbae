"""Names of models and of what they become at a platform."""

from __future__ import annotations

import re

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
