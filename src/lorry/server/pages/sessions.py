"""Sessions of the dashboard: a cookie that names a token and is signed, and what guards its forms.

The cookie holds no secret: a token's id, when it was given, and a random part, with an HMAC over them. The
token is looked up with each request, so that a revoked one ends its sessions within a second.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

#: Seconds after which somebody has to sign in again.
SESSION_SECONDS = 7 * 86_400

#: In place of a token's id while no token was made.
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Session:
    """Who looks at pages.

    Attributes:
        token: Id of their token; `NOBODY` while there are none.
        since: When they signed in, seconds since 1970.
        nonce: Makes it one of its kind.
    """

    token: str
    since: int
    nonce: str


class Sessions:
    """Makes sessions and reads them.

    Args:
        key: Signs them.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, token: str, now: float) -> Session:
        """Begin a session.

        Args:
            token: The id of a token, or `NOBODY`.
            now: Seconds since 1970.
        """
        return Session(token, int(now), secrets.token_hex(16))

    def cookie(self, session: Session) -> str:
        """Write a session as the value of a cookie."""
        said = f"{session.token}.{session.since}.{session.nonce}"
        return f"{said}.{self._sign('cookie', said)}"

    def read(self, value: str, now: float) -> Session | None:
        """Read a session; `None` for one that is not ours, or too old."""
        said, _, signature = value.rpartition(".")
        if not hmac.compare_digest(self._sign("cookie", said).encode(), signature.encode()):
            return None
        token, since, nonce = said.split(".")
        age = now - int(since)
        return Session(token, int(since), nonce) if -60 <= age <= SESSION_SECONDS else None

    def csrf(self, session: Session) -> str:
        """Give what a form of a session has to bring along."""
        return self._sign("csrf", session.nonce)

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
