"""How the engine says no: one exception, and the forms of body that Together and the Hub use.

`/v2` and `/v3` answer in the style of gRPC, `{code, message, details}`; `/v1` answers
`{error: {message, type, param, code}}` (Together API dossier 5.2); the Hub's addresses answer
`{error: message}`. The services raise a `Refusal` and do not care; the path decides the form at the border.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lorry.errors import AdapterUnusable, DiskFull, LorryError


class Rpc(IntEnum):
    """Codes of gRPC (google/rpc/code.proto), as far as they are used here."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_STATUS = {
    Rpc.INVALID_ARGUMENT: 400,
    Rpc.NOT_FOUND: 404,
    Rpc.ALREADY_EXISTS: 409,
    Rpc.PERMISSION_DENIED: 403,
    Rpc.RESOURCE_EXHAUSTED: 429,
    Rpc.FAILED_PRECONDITION: 400,
    Rpc.ABORTED: 409,
    Rpc.UNIMPLEMENTED: 501,
    Rpc.INTERNAL: 500,
    Rpc.UNAVAILABLE: 503,
    Rpc.UNAUTHENTICATED: 401,
}

_RPC_PATHS = ("/v2/", "/v3/", "/uploads/", "/contents/", "/pictures/")

_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 409: 10, 422: 3, 429: 8, 500: 13, 501: 12, 503: 14, 507: 8}


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        code: What kind of error, in gRPC's words.
        message: One plain sentence.
        reason: The `code` of a `/v1` body, such as `model_not_available`.
        param: The parameter concerned, for a `/v1` body.
        status: HTTP status; follows from `code` when omitted.
        retry_after: Seconds after which to come again.
    """

    def __init__(
        self,
        code: Rpc,
        message: str,
        *,
        reason: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = {"retry-after": str(math.ceil(retry_after))} if retry_after is not None else None
        self.code = code
        self.message = message
        self.reason = reason
        self.param = param
        self.status = status or _STATUS[code]


def invalid(message: str, param: str | None = None) -> Refusal:
    """Refuse a request that can't be meant as it stands (400)."""
    return Refusal(Rpc.INVALID_ARGUMENT, message, reason="invalid_request", param=param)


def not_found(what: str) -> Refusal:
    """Say that something is not there (404)."""
    return Refusal(Rpc.NOT_FOUND, f"{what} does not exist.", reason="not_found")


def taken(message: str) -> Refusal:
    """Refuse a name that is in use (409)."""
    return Refusal(Rpc.ALREADY_EXISTS, message, reason="already_exists")


def not_now(message: str) -> Refusal:
    """Refuse what the present state forbids (400)."""
    return Refusal(Rpc.FAILED_PRECONDITION, message, reason="failed_precondition")


def check_etag(given: str | None, present: str, what: str) -> None:
    """Compare an etag that came with an update or a delete; none means overwrite.

    Raises:
        Refusal: 409 ABORTED, it names another version.
    """
    if given and given != present:
        raise Refusal(
            Rpc.ABORTED,
            f"ABORTED: {what} was changed meanwhile: the etag is {present}, the request has {given}.",
            reason="aborted",
        )


def v1_error(status: int, message: str, reason: str | None, param: str | None) -> dict[str, Any]:
    """Write an error as `/v1` does (Together API dossier 5.2)."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": reason}}


def install(app: FastAPI) -> None:
    """Make every error of an application leave it in Together's forms."""

    async def refusal(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refusal)  # noqa: S101  # the registration below
        return _answer(
            request, error.status, error.message, error.code, error.reason, error.param, error.headers
        )

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        message, param = _problems(error)
        return _answer(request, 400, message, Rpc.INVALID_ARGUMENT, "invalid_request", param)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        message = str(error.detail)
        if error.status_code == 404 and message == "Not Found":
            message = f"This engine has nothing at {request.method} {request.url.path}."
        return _answer(request, error.status_code, message, headers=error.headers)

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LorryError)  # noqa: S101
        return _answer(request, _status_of(error), error.message, reason=error.code)

    async def fault(request: Request, error: Exception) -> JSONResponse:
        message = f"The engine failed on its side ({type(error).__name__}); its own output says where."
        return _answer(request, 500, message, reason="internal_error")

    app.add_exception_handler(Refusal, refusal)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(LorryError, ours)
    app.add_exception_handler(Exception, fault)


def _status_of(error: LorryError) -> int:
    if isinstance(error, DiskFull):
        return 507  # Insufficient Storage (RFC 4918, 11.5)
    if isinstance(error, AdapterUnusable):
        return 400
    return 500


def _problems(error: RequestValidationError) -> tuple[str, str | None]:
    """Put everything that is wrong with a request into one sentence, and name the first parameter of it."""
    said, first = [], None
    for problem in error.errors():
        param = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query", "path"))
        first = first or param or None
        said.append(f"{param}: {problem['msg']}" if param else f"The body can't be read: {problem['msg']}")
    return f"{'; '.join(dict.fromkeys(said))}.", first


def body_of(
    path: str,
    status: int,
    message: str,
    reason: str | None = None,
    param: str | None = None,
    code: int | None = None,
) -> dict[str, Any]:
    """Write an error in the form that belongs to a path.

    Args:
        path: What was asked for.
        status: HTTP status.
        message: One plain sentence.
        reason: The `code` of a `/v1` body.
        param: The parameter concerned, for a `/v1` body.
        code: The code of a `/v2` body; follows from the status when omitted.
    """
    if path.startswith("/v1/"):
        return v1_error(status, message, reason, param)
    if not path.startswith(_RPC_PATHS):
        return {"error": message}
    # The official CLI prints `details[].detail` and nothing else (Together API dossier 5.2).
    rpc = int(code if code is not None else _RPC.get(status, Rpc.INTERNAL))
    return {"code": rpc, "message": message, "details": [{"detail": message}]}


def _answer(
    request: Request,
    status: int,
    message: str,
    code: int | None = None,
    reason: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = body_of(request.url.path, status, message, reason, param, code)
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))
