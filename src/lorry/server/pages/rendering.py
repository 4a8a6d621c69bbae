"""Pages as answers: templates, what a browser may do with them, and how they travel."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lorry.model.serving import Scope
from lorry.server.pages.assets import address_of_asset, assets
from lorry.server.pages.sessions import SESSION_SECONDS
from lorry.server.pages.visiting import Visitor, cookie_name, sessions_of
from lorry.server.pages.wording import FILTERS
from lorry.server.rooms import Rooms

#: What a page may load and do: nothing from elsewhere, no script and no style that is not a file of ours.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "cookie, accept-encoding, hx-request",
}

#: Below this, what compression saves is less than a packet, bytes.
_WORTH = 1000

#: The pages, with the scope that each needs.
NAVIGATION = (
    ("/", "Models", None),
    ("/deliver", "Deliver", Scope.SHIP),
    ("/playground", "Playground", Scope.GENERATE),
    ("/costs", "Costs", Scope.ADMIN),
    ("/health", "Health", None),
)


@cache
def templates() -> Environment:
    """Open the templates; everything that is put into one is escaped."""
    environment = Environment(
        loader=PackageLoader("lorry.server.pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals["asset"] = address_of_asset
    return environment


def warm() -> None:
    """Read all templates and files, so that the first page of a server comes as soon as any other."""
    assets()
    for name in templates().list_templates():
        templates().get_template(name)


def page(
    request: Request,
    visitor: Visitor | None,
    template: str,
    view: dict[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Render a page, or the part of one that a template is.

    Args:
        request: What came.
        visitor: Who looks; `None` where nobody is known.
        template: Its name.
        view: What it shows.
        status: HTTP status.
        headers: More of them.
    """
    rooms: Rooms = request.app.state.rooms
    may = [row for row in NAVIGATION if visitor and (row[2] is None or visitor.caller.may(row[2]))]
    around = {
        "path": request.url.path,
        "navigation": may,
        "csrf": visitor.csrf if visitor else "",
        "visitor": visitor,
        "guarded": rooms.directory.now.guarded,
        "version": rooms.version,
        "now": rooms.now(),
    }
    text = templates().get_template(template).render(view=view, **around)
    answer = Response(text, status, {**_HEADERS, **(headers or {})}, media_type="text/html")
    if visitor is not None and visitor.fresh and visitor.session is not None:
        set_session(request, answer, visitor)
    return compressed(request, answer)


def twin(view: dict[str, Any]) -> Response:
    """Give the same as JSON."""
    return JSONResponse(view, headers={"cache-control": "no-store", "vary": "cookie"})


def told(request: Request, visitor: Visitor, sentence: str, *, then: str | None = None) -> Response:
    """Answer an action with a sentence that the page shows, and have it look again.

    Args:
        request: What came.
        visitor: Whose action it was.
        sentence: What was done.
        then: The page to go to.
    """
    headers = {"HX-Trigger": json.dumps({"lorry:done": {"then": then}})}
    return page(request, visitor, "parts/notice.html", {"sentence": sentence}, headers=headers)


def moved(request: Request, to: str) -> Response:
    """Send a browser to another page; htmx is told so in its own words."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": to, "cache-control": "no-store"})
    return RedirectResponse(to, 303, {"cache-control": "no-store"})


def set_session(request: Request, answer: Response, visitor: Visitor) -> None:
    """Have the browser keep a session."""
    assert visitor.session is not None  # noqa: S101 - whoever calls has looked
    answer.set_cookie(
        cookie_name(request),
        sessions_of(request.app.state.rooms).cookie(visitor.session),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def compressed(request: Request, answer: Response) -> Response:
    """Compress an answer for whoever takes it so."""
    body = bytes(answer.body)
    if len(body) >= _WORTH and "gzip" in request.headers.get("accept-encoding", ""):
        answer.body = gzip.compress(body, 4, mtime=0)
        answer.headers["content-encoding"] = "gzip"
        answer.headers["content-length"] = str(len(answer.body))
    return answer
