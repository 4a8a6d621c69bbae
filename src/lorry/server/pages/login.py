"""Signing in with a token, and out."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lorry.errors import TokenInvalid, TokenNotAllowed
from lorry.server.pages.rendering import moved, page, set_session
from lorry.server.pages.visiting import (
    AnyVisitor,
    TheForm,
    Visitor,
    cookie_name,
    fields_of,
    from_elsewhere,
    sessions_of,
)
from lorry.server.rooms import Rooms


def login_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/login", ask, methods=["GET"])
    router.add_api_route("/login", sign_in, methods=["POST"])
    router.add_api_route("/logout", sign_out, methods=["POST"])


async def ask(request: Request, to: str = "/") -> Response:
    """Ask for a token."""
    rooms: Rooms = request.app.state.rooms
    if not rooms.directory.now.guarded:
        return moved(request, "/")
    return page(request, None, "login.html", {"to": own_path(to), "problem": None})


async def sign_in(request: Request) -> Response:
    """Take a token and begin a session.

    Nobody's cookie is used here, so there is no form of theirs to be forged; a browser that says where it
    comes from has to come from us, so that nobody is signed in as somebody else without knowing.
    """
    rooms: Rooms = request.app.state.rooms
    if from_elsewhere(request):
        raise TokenNotAllowed("This was not sent from a page of this server.")
    fields = await fields_of(request)
    secret, to = fields.get("token", ""), own_path(fields.get("to", "/"))
    caller = rooms.directory.now.callers.get(hashlib.sha256(secret.encode()).hexdigest())
    if caller is None or caller.token is None:
        problem = TokenInvalid(
            "The token is unknown or was revoked." if secret else "No token was given.",
            fix="`lorry token create --scope admin` makes one; it begins with `lorry_`.",
        )
        return page(request, None, "login.html", {"to": to, "problem": problem.as_dict()}, status=401)
    session = sessions_of(rooms).begin(caller.token, rooms.now().timestamp())
    answer = moved(request, to)
    set_session(request, answer, Visitor(caller, session))
    return answer


async def sign_out(request: Request, _visitor: AnyVisitor, _form: TheForm) -> Response:
    """End a session."""
    answer = moved(request, "/login")
    answer.delete_cookie(cookie_name(request))
    return answer


def own_path(to: str) -> str:
    """Give a path on this server; the first page for anything else, which could lead elsewhere."""
    own = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if own else "/"
