"""Who looks at a page, and whether what they send is theirs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request

from lorry.errors import BodyInvalid, TokenInvalid, TokenNotAllowed
from lorry.generation.gateway.callers import HOUSE, Caller
from lorry.model.serving import Scope
from lorry.server.asgi import header, read_body
from lorry.server.pages.sessions import NOBODY, Session, Sessions
from lorry.server.rooms import Rooms

#: Bytes of a form, and fields of one.
_FORM_BYTES, _FIELDS = 256 * 1024, 100

#: The header with which htmx sends what `Sessions.csrf` gives, and the field of a plain form.
CSRF_HEADER, CSRF_FIELD = b"x-lorry-csrf", "csrf"


@dataclass(slots=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        caller: What they may.
        session: Their session; `None` for a program that sends its token.
        csrf: What their forms have to bring along.
        fresh: Whether the session is new, so that the answer has to set its cookie.
    """

    caller: Caller
    session: Session | None
    csrf: str = ""
    fresh: bool = False

    @property
    def who(self) -> str:
        """Name them for the journal."""
        return self.caller.token or "this machine"

    def require(self, scope: Scope) -> None:
        """Let them pass if they have a scope.

        Raises:
            TokenNotAllowed: They have not.
        """
        self.caller.require(scope)


def sessions_of(rooms: Rooms) -> Sessions:
    """Give what makes the sessions of a server."""
    return Sessions(rooms.addresses.session_key())


def cookie_name(request: Request) -> str:
    """Name the cookie: browsers keep one jar for all ports of a machine."""
    port = request.url.port
    return f"lorry-{port}" if port else "lorry"


async def visitor_of(request: Request) -> Visitor:
    """Find out who looks at a page, by their session or by the token that they send.

    Raises:
        TokenInvalid: It has to be somebody, and is nobody.
    """
    rooms: Rooms = request.app.state.rooms
    directory = rooms.directory
    if (given := header(request.scope, b"authorization")) is not None and directory.now.guarded:
        caller = directory.caller(given)
        caller.take_turn(rooms.clock())
        return Visitor(caller, None)
    sessions, now = sessions_of(rooms), rooms.now().timestamp()
    found = sessions.read(request.cookies.get(cookie_name(request), ""), now)
    if not directory.now.guarded:
        fresh = found is None
        session = found or sessions.begin(NOBODY, now)
        return Visitor(HOUSE, session, sessions.csrf(session), fresh)
    caller_ = next(
        (each for each in directory.now.callers.values() if found and each.token == found.token), None
    )
    if found is None or caller_ is None:
        raise TokenInvalid(
            "Nobody is signed in." if found is None else "The token of this session was revoked.",
            fix="Sign in with a token; `lorry token create` makes one.",
        )
    caller_.take_turn(rooms.clock())
    return Visitor(caller_, found, sessions.csrf(found))


AnyVisitor = Annotated[Visitor, Depends(visitor_of)]


class Form(dict[str, str]):
    """The fields of a form, without spaces around them; those that are left empty are not there."""

    def need(self, name: str, what: str) -> str:
        """Give a field that has to be there.

        Raises:
            BodyInvalid: It is not.
        """
        if name not in self:
            raise BodyInvalid(f"{what} is missing.", fix="Fill it in and send it again.")
        return self[name]

    def number(self, name: str, what: str) -> float | None:
        """Give a field as a number; `None` for one that is not there.

        Raises:
            BodyInvalid: It is none.
        """
        if name not in self:
            return None
        try:
            return float(self[name])
        except ValueError:
            raise BodyInvalid(
                f"{what} is {self[name][:40]!r}, it has to be a number.", fix="Correct it."
            ) from None


async def fields_of(request: Request) -> Form:
    """Read the fields of a form.

    Raises:
        BodyInvalid: It is none.
    """
    body = await read_body(request.scope, request.receive, _FORM_BYTES)
    try:
        fields = parse_qsl(body.decode(), max_num_fields=_FIELDS, keep_blank_values=False)
    except ValueError as error:
        raise BodyInvalid("The body is no form.") from error
    return Form((name, text) for name, value in fields if (text := value.strip()))


def from_elsewhere(request: Request) -> bool:
    """Say whether a browser tells that it sends this from a page of another origin."""
    origin = header(request.scope, b"origin")
    return origin is not None and urlsplit(origin.decode("latin-1")).netloc != request.url.netloc


async def form_of(request: Request, visitor: AnyVisitor) -> Form:
    """Read a form that was sent from one of our pages.

    Raises:
        TokenNotAllowed: It was sent from elsewhere.
        BodyInvalid: It is no form.
    """
    form = await fields_of(request)
    require_own_page(request, visitor, form.pop(CSRF_FIELD, ""))
    return form


TheForm = Annotated[Form, Depends(form_of)]


def require_own_page(request: Request, visitor: Visitor, field: str = "") -> None:
    """Refuse what another page has a browser send with our cookie (CSRF).

    Args:
        request: What came.
        visitor: Whose cookie, or whose token: a program's token no browser sends by itself.
        field: What the form brought along.

    Raises:
        TokenNotAllowed: It was sent from elsewhere.
    """
    if visitor.session is None:
        return
    given = (header(request.scope, CSRF_HEADER) or b"").decode("latin-1") or field
    if from_elsewhere(request) or not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        raise TokenNotAllowed(
            "This was not sent from a page of this server, or the page is from before you signed in.",
            fix="Reload the page and do it again.",
        )
