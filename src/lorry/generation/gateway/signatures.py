"""Signatures of messages, out and in: Standard Webhooks 1.0 (standardwebhooks/standard-webhooks, spec).

HMAC-SHA256 over `id.timestamp.body`; headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from lorry.errors import SignatureInvalid

ID, TIME, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: Seconds by which a message may be older, or its sender's clock ahead: later it may have been overheard.
TOLERANCE = 300


def signature_of(secret: str, message: str, at: int, body: bytes) -> str:
    """Give the signature of a message, with its version before it.

    Args:
        secret: `whsec_` and base64.
        message: The message's id.
        at: The time, seconds since 1970.
        body: The message.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def require_signature(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Accept a message that was signed with a secret, not long ago.

    Args:
        secret: `whsec_` and base64.
        headers: Of the message, names in small letters; several signatures may stand in theirs.
        body: The message.
        now: The time, seconds since 1970.

    Raises:
        SignatureInvalid: Says what is wrong with it.
    """
    missing = [name for name in (ID, TIME, SIGNATURE) if not headers.get(name)]
    if missing:
        raise SignatureInvalid(
            f"The message has no {' and no '.join(missing)}.", evidence={"missing": missing}
        )
    time = headers[TIME]
    if not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise SignatureInvalid(f"{TIME} is no number of seconds since 1970.")
    age = now - int(time)
    if abs(age) > TOLERANCE:
        raise SignatureInvalid(
            f"The message was signed {abs(age):.0f} s {'ago' if age > 0 else 'from now'}; "
            f"{TOLERANCE} s are allowed.",
            fix="Sign it when it is sent, and look at the sender's clock.",
        )
    wanted = signature_of(secret, headers[ID], int(time), body).encode()
    if not any(hmac.compare_digest(wanted, given.encode()) for given in headers[SIGNATURE].split()):
        raise SignatureInvalid("The signature is not that of this message.")
