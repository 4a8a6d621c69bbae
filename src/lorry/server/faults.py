"""Whatever goes wrong in the API leaves in the one shape that errors have here."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lorry.errors import BodyInvalid, LorryError, NoSuchPath
from lorry.server.answers import error_body, error_headers, status_of, unforeseen
from lorry.server.asgi import request_id
from lorry.server.pages.faults import shown


def add_fault_handlers(app: FastAPI) -> None:
    """Have every fault answered as an error of ours.

    Args:
        app: The application.
    """

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, LorryError)  # noqa: S101 - registered for it alone
        return shown(request, error) or answer(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        found = _as_invalid(error)
        return shown(request, found) or answer(request, found)

    async def elsewhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        if isinstance(error.__cause__, LorryError):  # a body that could not be read to its end
            return await ours(request, error.__cause__)
        said = f"{request.method} {request.url.path[:200]}: {error.detail}."
        found = NoSuchPath(said)
        if (seen := shown(request, found)) is not None:
            return seen
        return answer(request, found, status=error.status_code, headers=dict(error.headers or {}))

    async def ourselves(request: Request, error: Exception) -> Response:
        found = unforeseen(error)
        return shown(request, found) or answer(request, found)

    app.add_exception_handler(LorryError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, elsewhere)
    app.add_exception_handler(Exception, ourselves)


def answer(
    request: Request, error: LorryError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Give an error as an answer.

    Args:
        request: What came.
        error: What went wrong.
        status: Another status than the error's own.
        headers: More of them.
    """
    name = request_id(request.scope)
    told = {key.decode(): value.decode() for key, value in error_headers(error)}
    return Response(
        error_body(error, name),
        status or status_of(error),
        {**told, "x-request-id": name, **(headers or {})},
    )


def _as_invalid(error: RequestValidationError) -> BodyInvalid:
    problems = [f"{'.'.join(map(str, row['loc'][1:])) or 'the body'}: {_said(row)}" for row in error.errors()]
    sentence = "; ".join(problems[:20])
    return BodyInvalid(f"{sentence[0].upper()}{sentence[1:]}.", evidence={"problems": problems[:20]})


def _said(row: dict[str, Any]) -> str:
    message = str(row["msg"])
    return message[0].lower() + message[1:]
