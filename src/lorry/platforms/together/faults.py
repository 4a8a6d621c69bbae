"""The one translation of what goes wrong between us and Together's API into our own errors.

What matters most for a delivery is whether a call may have acted. A connection that was never made sent
nothing (`Unreachable`); a request whose answer did not come may have created the thing it asked for
(`AnswerLost`); an answer with status 5xx may as well (`PlatformFault`). All other refusals did nothing.

Status codes and the two forms of error body: Together API dossier 5.1 and 5.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from together import APIConnectionError, APIResponseValidationError, APIStatusError, TogetherError

from lorry.errors import (
    AccessDenied,
    AnswerLost,
    Conflict,
    KeyRejected,
    NotThere,
    OutOfCredit,
    PlatformError,
    PlatformFault,
    PlatformFull,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from lorry.platforms.together.addresses import is_loopback

_BY_STATUS: Mapping[int, type[PlatformError]] = {
    401: KeyRejected,
    402: OutOfCredit,
    403: AccessDenied,
    404: NotThere,
    409: Conflict,
    429: RateLimited,
    507: PlatformFull,  # Insufficient Storage (RFC 4918, 11.5)
}

#: No byte of the request left us: no connection, no free one in the pool, or an address that can't be used.
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

#: An answer came, and it is not what the API promises.
_UNREADABLE = (httpx.DecodingError, httpx.TooManyRedirects, httpx.StreamError, httpx.CookieConflict)

#: Of a sentence that a server made: enough for any error, too little for a web page.
_LONGEST_SENTENCE = 400


@dataclass(frozen=True, slots=True)
class Faults:
    """How faults of one connection are told.

    Attributes:
        address: Where the requests go; named in every sentence.
        unreachable: Which error says that nobody answers there.
        secret: The key, taken out of anything that a server says.
    """

    address: str
    unreachable: type[Unreachable]
    secret: str

    def of(self, url: str) -> Faults:
        """Tell the faults of another address that the platform gave, without what is secret in it.

        Args:
            url: A presigned address.
        """
        place, base = urlsplit(url), urlsplit(self.address)
        unreachable = self.unreachable if place.netloc == base.netloc else Unreachable
        return replace(self, address=f"{place.scheme}://{place.netloc}", unreachable=unreachable)

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turn faults of the transport, inside the block, into errors of ours.

        Args:
            doing: What is asked for, to complete "was asked to …".
        """
        try:
            yield
        except (TogetherError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self.translate(error, doing) from error

    def translate(self, error: Exception, doing: str) -> PlatformError:
        """Give our error for any fault of the SDK or of the transport below it.

        Args:
            error: What was raised.
            doing: What was asked for, to complete "was asked to …".
        """
        if isinstance(error, APIStatusError | httpx.HTTPStatusError):
            return self.refusal(error.response, doing)
        if isinstance(error, APIResponseValidationError):
            return self.unreadable(str(error), doing)
        if isinstance(error, APIConnectionError):
            cause = error.__cause__
            return self._transport(cause if isinstance(cause, Exception) else error, doing)
        if isinstance(error, TogetherError):
            sentence = self._clean(str(error))
            return RequestRefused(
                f"The request to {doing} could not be made: {sentence}", evidence=self._at()
            )
        return self._transport(error, doing)

    def refusal(self, response: httpx.Response, doing: str) -> PlatformError:
        """Give our error for an answer with a status of 300 or more.

        Args:
            response: The answer, read to its end.
            doing: What was asked for, to complete "was asked to …".
        """
        status = response.status_code
        sentence = self._clean(sentence_of(response))
        evidence = {**self._at(), "status": status, "said": sentence, "code": code_of(response)}
        if 300 <= status < 400:
            place = response.headers.get("location", "another address").partition("?")[0]
            return RequestRefused(
                f"{self.address} was asked to {doing} and points to {self._clean(place)} (status {status}).",
                fix="Set the platform's own address, without a path, and run the same command again.",
                evidence=evidence,
            )
        kind = _BY_STATUS.get(status, PlatformFault if status >= 500 else RequestRefused)
        verb = "failed" if status >= 500 else "refused"
        message = f"{self.address} {verb} to {doing} (status {status}): {sentence}"
        return kind(message, fix=self._fix(kind), evidence=evidence)

    def unreadable(self, why: str, doing: str) -> PlatformFault:
        """Give our error for an answer that arrived and does not say what it should.

        Args:
            why: What is wrong with it.
            doing: What was asked for, to complete "was asked to …".
        """
        sentence = f"{self.address} was asked to {doing}, and its answer can't be read: {self._clean(why)}"
        return PlatformFault(
            sentence,
            fix="Check that the address is that of the platform, then run the same command again.",
            evidence=self._at(),
        )

    def _transport(self, error: Exception, doing: str) -> PlatformError:
        cause = self._clean(str(error)) or "no further words"
        evidence = {**self._at(), "cause": f"{type(error).__name__}: {cause}"}
        if isinstance(error, _NOTHING_SENT):
            return self.unreachable(f"Nothing answers at {self.address} ({cause}).", evidence=evidence)
        if isinstance(error, _UNREADABLE):
            return self.unreadable(cause, doing)
        if isinstance(error, httpx.TimeoutException):
            cause = "it took too long"
        return AnswerLost(
            f"{self.address} was asked to {doing}, and its answer did not arrive ({cause}).",
            evidence=evidence,
        )

    def _fix(self, kind: type[PlatformError]) -> str | None:
        if kind is KeyRejected and is_loopback(self.address):
            return "Set LORRY_ENGINE_KEY to the key that the engine was started with, and run it again."
        return None  # the class has one

    def _at(self) -> dict[str, Any]:
        return {"address": self.address}

    def _clean(self, text: str) -> str:
        hidden = text.replace(self.secret, "[key]") if self.secret else text
        return " ".join(hidden.split())[:_LONGEST_SENTENCE]


def code_of(response: httpx.Response) -> str | None:
    """Find the platform's own code in an error's body, such as `endpoint_not_configured` (dossier 5.2).

    Args:
        response: An answer that was read to its end.
    """
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    inner = body.get("error") if isinstance(body, Mapping) else None
    code = inner.get("code") if isinstance(inner, Mapping) else None
    return code if isinstance(code, str) else None


def sentence_of(response: httpx.Response) -> str:
    """Find the sentence in an error's body, whichever form it has.

    Args:
        response: An answer that was read to its end.

    Returns:
        The platform's own words; what HTTP calls the status when there are none.
    """
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        text = response.text.strip()
        return text if text and not text.startswith("<") else response.reason_phrase or "without a word"
    return _words(body) or response.reason_phrase or "without a word"


def _words(body: object) -> str:
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return " ".join(filter(None, map(_words, body)))
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail", "msg"):
            if words := _words(body.get(key)):
                return words
    return ""
