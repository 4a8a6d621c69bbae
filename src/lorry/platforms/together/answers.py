"""What an answer says that is no success: read once, from whichever form it has.

`/v1` answers `{error: {message, type, param, code}}`; `/v2` and `/v3` answer `{code, message, details}`, with
a code of gRPC (Together API dossier 5.2). What stands before them may answer with a page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx


class Asked(StrEnum):
    """What a request asks for, as far as the same answer means another thing."""

    PICTURES = "pictures"
    WORDS = "words"
    MODEL = "a model record"
    IMPORT = "an import"
    UPLOAD = "an upload"
    ENDPOINT = "an endpoint"
    DEPLOYMENT = "a deployment"
    ADAPTER = "an attached adapter"
    CONTAINER = "a container"
    HARDWARE = "hardware"
    OTHER = "something else"


#: Characters of a sentence that are kept: so many that what is cut through there is never shown.
_LONGEST = 1 << 16

#: Methods and path of each (Together API dossier 1.1 to 4.1), the first that fits.
_ROUTES: tuple[tuple[Asked, frozenset[str], re.Pattern[str]], ...] = tuple(
    (asked, frozenset(methods.split()), re.compile(path))
    for asked, methods, path in (
        (Asked.PICTURES, "POST", r"/v1/images/generations"),
        (Asked.WORDS, "POST", r"/v1/(chat/)?completions"),
        (Asked.IMPORT, "POST", r"/v1/models|.*/models/uploads"),
        (Asked.UPLOAD, "POST", r".*/models/upload/(create|complete)"),
        (Asked.MODEL, "POST PATCH", r"/v2/projects/[^/]+/models(/[^/]+)?"),
        (Asked.ADAPTER, "POST PATCH", r".*/endpoints/.+/adapters(/[^/]+)?"),
        (Asked.DEPLOYMENT, "POST PATCH", r"/v2/projects/.+/deployments(/[^/]+)?|/v1/endpoints(/[^/]+)?"),
        (Asked.ENDPOINT, "POST PATCH", r"/v2/projects/[^/]+/endpoints(/[^/]+)?"),
        (Asked.CONTAINER, "POST PATCH", r"/v1/deployments(/[^/]+)?"),
        (Asked.HARDWARE, "GET", r"/v1/hardware"),
    )
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a refusal or failure says.

    Attributes:
        status: HTTP status.
        asked: What was asked for.
        sentence: The platform's own words; what HTTP calls the status when there are none.
        code: The code of a `/v1` body, such as `endpoint_not_configured`.
        kind: The `type` of a `/v1` body, such as `invalid_request_error`.
        param: The parameter that a `/v1` body names.
        number: The code of gRPC in a `/v2` body (google/rpc/code.proto).
        request: The platform's id of the request, for its support.
        retry_after: Seconds after which to come again, where the answer says so.
        limit_reset: What `x-ratelimit-reset` says, seconds.
        limited: Whether the answer has any word on rates.
    """

    status: int
    asked: Asked
    sentence: str
    code: str | None = None
    kind: str | None = None
    param: str | None = None
    number: int | None = None
    request: str | None = None
    retry_after: float | None = None
    limit_reset: float | None = None
    limited: bool = False


def read_answer(response: httpx.Response) -> Answer:
    """Read an answer that was received to its end.

    Args:
        response: With its request, where there is one.
    """
    body = _object(response)
    inner = body.get("error")
    inner = inner if isinstance(inner, Mapping) else {}
    number = body.get("code")
    headers = response.headers
    return Answer(
        status=response.status_code,
        asked=_asked(response),
        sentence=sentence_of(response)[:_LONGEST],
        code=_text(inner.get("code")),
        kind=_text(inner.get("type")),
        param=_text(inner.get("param")),
        number=number if isinstance(number, int) and not isinstance(number, bool) else None,
        request=_text(headers.get("x-request-id")) or _text(body.get("id")),
        retry_after=retry_after(headers),
        limit_reset=_number(headers.get("x-ratelimit-reset")),
        limited=any(name.startswith(("x-ratelimit", "retry-after")) for name in headers),
    )


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
        for key in ("error", "message", "detail", "msg", "details"):
            if words := _words(body.get(key)):
                return words
    return ""


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _asked(response: httpx.Response) -> Asked:
    try:
        request = response.request
    except RuntimeError:  # an answer that was put together by hand has none
        return Asked.OTHER
    path = request.url.path.rstrip("/")
    fitting = (
        asked for asked, methods, form in _ROUTES if request.method in methods and form.fullmatch(path)
    )
    return next(fitting, Asked.OTHER)


def retry_after(headers: httpx.Headers) -> float | None:
    """Read `retry-after-ms` and `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).

    Args:
        headers: Of an answer.

    Returns:
        Seconds; `None` where the answer does not say.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    seconds = _number(said)
    return seconds if seconds is not None or said is None else _until(said, headers.get("date"))


def _until(then: str, now: str | None) -> float | None:
    """Count the seconds between two dates of one answer: the platform's clock, not ours."""
    try:
        return max(0.0, (parsedate_to_datetime(then) - parsedate_to_datetime(now or "")).total_seconds())
    except (TypeError, ValueError):  # no date, or one with a zone and one without
        return None


def _number(text: str | None) -> float | None:
    """Read a number of seconds; one that is no sensible number is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
