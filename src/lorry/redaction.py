"""What may be shown of a text: no key, no token, and of an address only what stands before its `?`.

Errors, the journal and `lorry doctor` all come through here. Two nets, one behind the other: a secret whose
value is known is taken out wherever it stands; what looks like one is taken out even where nobody knows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

#: What stands in the place of a secret.
HIDDEN = "[hidden]"

#: A known secret that is shorter is a word of its own (`local`, `any`): to take it out would spoil sentences,
#: and nobody is kept out by it.
SHORTEST_SECRET = 6

# The signature of a presigned address stands in its query, and so may a token; a login, before its host.
_ADDRESS = re.compile(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]*://)(?:[^\s/?#@\"'<>]*@)?(?P<place>[^\s?#\"'<>]*)[^\s\"'<>]*", re.I
)

_SHAPES = (
    re.compile(r"\bhf_[A-Za-z0-9]{20,}"),  # a token of the Hub: hf_ and 34 letters and digits
    re.compile(r"\btgp_v\d_[A-Za-z0-9_-]{16,}"),  # a project key of Together
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # an access key of AWS
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a JSON Web Token (RFC 7519)
)

# `Authorization: Bearer x`, `"api_key": "x"`, `hf_token=x`, `X-Amz-Signature=x`: the name tells what x is.
# A plain `token` tells nothing outside quotes: it may be a trigger word, or one of a tokenizer's.
_NAMED = re.compile(
    r"""(?P<name>\b(?:x-amz-(?:signature|credential|security-token)|(?:[a-z]+[_-])*api[_-]?key|access[_-]?key
    |awsaccesskeyid|signature|(?:hf|hub|api|auth|access|refresh|id|security)[_-]?token|together[_-]key
    |client[_-]secret|password|authorization|(?<=["'])token(?=["']))["']?\s*[:=]\s*["']?)
    (?P<value>(?:(?:bearer|basic)\s+)?[^\s"'&,;()<>{}\[\]]+)""",
    re.I | re.X,
)
_BEARER = re.compile(r"\b(?P<name>bearer\s+)(?P<value>(?=\S*\d)[\w.~+/=-]{8,})", re.I)

#: Values that say that there is no secret.
_NONE = frozenset({"none", "null", "true", "false", "", HIDDEN})


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Take out of a text what nobody may read.

    Args:
        text: Any text, ours or a server's.
        secrets: Values that are known to be secret.

    Returns:
        The text with `[hidden]` in their place, and every address cut at its `?`; a second time changes
        nothing more.
    """
    for form in _forms(secrets):
        text = text.replace(form, HIDDEN)
    text = _ADDRESS.sub(r"\g<scheme>\g<place>", text)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return _BEARER.sub(_hide, _NAMED.sub(_hide, text))


def shown_value(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Take the same out of JSON values: every text in them, keys of objects included.

    Args:
        value: Text, number, list, object; anything else stays as it is.
        secrets: Values that are known to be secret.
    """
    known = tuple(secrets)
    if isinstance(value, str):
        return shown(value, known)
    if isinstance(value, Mapping):
        return {
            shown(key, known) if isinstance(key, str) else key: _entry(key, each, known)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [shown_value(each, known) for each in value]
    if isinstance(value, tuple):
        return tuple(shown_value(each, known) for each in value)
    return value


def betrays(text: str, secrets: Iterable[str] = ()) -> bool:
    """Tell whether a text shows something that nobody may read.

    Args:
        text: The text.
        secrets: Values that are known to be secret.
    """
    return shown(text, secrets) != text


def _entry(key: object, value: Any, secrets: tuple[str, ...]) -> Any:
    """Hide a text under a name such as `api_key`, whatever it looks like."""
    if isinstance(value, str) and isinstance(key, str) and _NAMED.search(f'"{key}": "x"'):
        return value if value.lower() in _NONE else HIDDEN
    return shown_value(value, secrets)


def _hide(found: re.Match[str]) -> str:
    return found[0] if found["value"].lower() in _NONE else f"{found['name']}{HIDDEN}"


def _forms(secrets: Iterable[str]) -> list[str]:
    """Give every way in which a secret may stand in a text, longest first."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            forms |= {
                secret,
                quote(secret),
                quote(secret, safe=""),
                json.dumps(secret)[1:-1],
                repr(secret)[1:-1],
            }
    return sorted(forms, key=len, reverse=True)
