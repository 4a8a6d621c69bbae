"""Errors as answers: in the shape that the clients of this API expect, with what Lorry adds."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from lorry.errors import (
    AccessDenied,
    AnswerLost,
    Conflict,
    ConversionError,
    GatewayError,
    InternalError,
    KeyRejected,
    LorryError,
    ModelNotFound,
    NameTaken,
    NotReady,
    OutOfCredit,
    PlatformError,
    PlatformFault,
    QuotaReached,
    RequestRefused,
    SafetyRefused,
    StorageError,
    UsageError,
    WeightsRejected,
)

_ENCODER = msgspec.json.Encoder()

#: Statuses of errors that are no `GatewayError`, the first that fits. What the platform says of its own key
#: or credit is no fault of the caller: its clients would take 401 and 402 for theirs.
_STATUSES: tuple[tuple[type[LorryError], int], ...] = (
    (ModelNotFound, 404),
    (NotReady, 503),
    (NameTaken, 409),
    (UsageError, 400),
    (WeightsRejected, 422),
    (ConversionError, 422),
    (SafetyRefused, 422),
    (RequestRefused, 400),
    (Conflict, 409),
    (KeyRejected, 502),
    (AccessDenied, 502),
    (OutOfCredit, 503),
    (QuotaReached, 503),
    (AnswerLost, 502),
    (PlatformFault, 502),
    (PlatformError, 503),
    (StorageError, 503),
    (InternalError, 500),
)

#: Types of the field `type`, by status (the words that OpenAI's and Together's clients know).
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "insufficient_quota",
    403: "permission_error", 404: "not_found_error", 408: "timeout_error", 409: "conflict_error",
    413: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error",
}  # fmt: skip

#: Seconds to wait where nobody said how long.
_SOON = 1


def status_of(error: LorryError) -> int:
    """Give the HTTP status of an error.

    Args:
        error: Any.
    """
    if isinstance(error, GatewayError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_body(error: LorryError, request: str) -> bytes:
    """Write an error as the body of an answer.

    Args:
        error: Any.
        request: Id of the request.
    """
    told: dict[str, Any] = {
        "message": error.message,
        "type": _TYPES.get(status_of(error), "server_error"),
        "param": None,
        **{name: value for name, value in error.as_dict().items() if name != "message"},
        "request_id": request,
    }
    return _ENCODER.encode({"error": told})


def error_headers(error: LorryError) -> list[tuple[bytes, bytes]]:
    """Give the headers of an error: whether, and when, to come again.

    `x-should-retry` is what the official clients go by before they look at the status (Together API dossier
    5.4); without it they repeat what can't be repeated, such as any 409.

    Args:
        error: Any.
    """
    headers = [
        (b"content-type", b"application/json"),
        (b"x-should-retry", b"true" if error.retryable else b"false"),
    ]
    wait = error.evidence.get("retry_after")
    if error.retryable:
        seconds = max(1, math.ceil(wait)) if isinstance(wait, int | float) else _SOON
        headers.append((b"retry-after", str(seconds).encode()))
    if status_of(error) == 401:
        headers.append((b"www-authenticate", b'Bearer realm="lorry"'))
    return headers


def unforeseen(error: Exception) -> InternalError:
    """Give our error for a fault of ours: what and where, nothing of what was asked."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return InternalError(
        f"The server failed on this request ({type(error).__name__}).",
        fix="Please report it with the request's id.",
        evidence={"where": where},
    )
