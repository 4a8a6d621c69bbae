"""The one translation of what goes wrong between us and Together's API into our own errors.

What matters most for a delivery is whether a call may have acted. A connection that was never made sent
nothing (`Unreachable`); a request whose answer did not come may have created the thing it asked for
(`AnswerLost`); an answer with status 5xx may as well (`PlatformFault`). All other refusals did nothing.

Which refusal is which error stands in `rules`, what an answer says is read in `answers`, and why a job or a
deployment failed that had been taken on is told by `outcomes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from together import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    TogetherError,
)

from lorry.errors import (
    AnswerLost,
    KeyRejected,
    PlatformError,
    PlatformFault,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from lorry.platforms.together.addresses import is_loopback
from lorry.platforms.together.answers import Answer, read_answer, sentence_of
from lorry.platforms.together.rules import error_of
from lorry.redaction import betrays, shown, shown_value

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

__all__ = ["Faults", "sentence_of"]


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
    secret: str = field(repr=False)

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
            raise self.translate(error, doing) from self._cause(error)

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
        if isinstance(error, APIError):
            return self._broken_off(error, doing)
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
        if response.status_code < 400:
            return self._elsewhere(response, doing)
        answer = read_answer(response)
        sentence = self._clean(answer.sentence)
        kind = error_of(answer)
        verb = "failed" if answer.status >= 500 else "refused"
        return kind(
            f"{self.address} {verb} to {doing} (status {answer.status}): {sentence}",
            fix=self._fix(kind, answer),
            evidence=shown_value({**self._at(), "said": sentence, **_evidence(answer)}, (self.secret,)),
        )

    def _elsewhere(self, response: httpx.Response, doing: str) -> PlatformError:
        status = response.status_code
        place = self._clean(response.headers.get("location", "another address"))
        return RequestRefused(
            f"{self.address} was asked to {doing} and points to {place} (status {status}).",
            fix="Set the platform's own address, without a path, and run the same command again.",
            evidence={
                **self._at(),
                "status": status,
                "said": self._clean(sentence_of(response)),
                "code": None,
            },
        )

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

    def _broken_off(self, error: APIError, doing: str) -> PlatformError:
        """Give our error for an answer that came in pieces and ended with an error instead of the rest."""
        body = {"error": error.body} if isinstance(error.body, dict) else {"message": error.message}
        kind = error_of(read_answer(httpx.Response(500, json=body, request=error.request)))
        said = self._clean(error.message)
        return kind(
            f"{self.address} was asked to {doing}, began, and broke off: {said}",
            evidence={**self._at(), "said": said},
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

    def _fix(self, kind: type[PlatformError], answer: Answer) -> str | None:
        if kind is KeyRejected and is_loopback(self.address):
            return "Set LORRY_ENGINE_KEY to the key that the engine was started with, and run it again."
        if kind is RateLimited and answer.retry_after:
            return f"Wait {math.ceil(answer.retry_after)} s and run the same command again."
        return None  # the class has one

    def _at(self) -> dict[str, Any]:
        return {"address": self.address}

    def _clean(self, text: str) -> str:
        return " ".join(shown(text, (self.secret,)).split())[:_LONGEST_SENTENCE]

    def _cause(self, error: Exception) -> Exception | None:
        """Give what goes into a traceback behind our error: nothing, where that would show a secret."""
        link: BaseException | None = error
        while link is not None:
            if betrays(str(link), (self.secret,)):
                return None
            link = link.__cause__ or link.__context__
        return error


def _evidence(answer: Answer) -> dict[str, Any]:
    """List what an answer says beside its sentence; `retry_after` and `limit_reset` are seconds."""
    more = {
        "type": answer.kind,
        "param": answer.param,
        "rpc": answer.number,
        "request": answer.request,
        "retry_after": answer.retry_after,
        "limit_reset": answer.limit_reset,
    }
    given = {name: value for name, value in more.items() if value is not None}
    return {"status": answer.status, "code": answer.code, "asked": str(answer.asked), **given}
