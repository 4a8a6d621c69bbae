"""Errors as people see them in a browser: a page, a part of one, or the way to sign in."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response

from lorry.errors import LorryError, TokenInvalid
from lorry.server.answers import status_of
from lorry.server.asgi import request_id
from lorry.server.pages.rendering import moved, page

#: What programs ask, which take JSON.
_PROGRAMS = ("/api/", "/v1/", "/static/", "/live/")


def shown(request: Request, error: LorryError) -> Response | None:
    """Show an error to whoever sits before a browser; `None` when it is a program that asks.

    Args:
        request: What came.
        error: What went wrong.
    """
    path = request.url.path
    part = "hx-request" in request.headers
    browser = part or "text/html" in request.headers.get("accept", "")
    if not browser or path.startswith(_PROGRAMS) or path.endswith(".json"):
        return None
    if isinstance(error, TokenInvalid):
        here = request.headers.get("hx-current-url", "") if part else str(request.url)
        to = "/" + here.partition("//")[2].partition("/")[2] if here else "/"
        return moved(request, f"/login?to={quote(to)}")
    view = {**error.as_dict(), "request": request_id(request.scope)}
    status = status_of(error)
    return page(request, None, "parts/error.html" if part else "error.html", view, status=status)
