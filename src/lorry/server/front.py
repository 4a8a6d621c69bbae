"""The front: the generation routes, ahead of the API, and the guard at an open door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from lorry.errors import TokenNotAllowed
from lorry.generation.asking import read_chat, read_generate, read_images
from lorry.generation.gateway.directory import LiveDirectory
from lorry.listening import is_loopback
from lorry.server.answers import error_body, error_headers, status_of
from lorry.server.application import build_api
from lorry.server.asgi import AsgiSink, Receive, Scope, Send, header, request_id, too_large
from lorry.server.doors import Doors
from lorry.server.pages.delivering import UPLOADS
from lorry.server.rooms import Rooms

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_front(rooms: Rooms) -> App:
    """Build the whole server as one ASGI application.

    Args:
        rooms: What it works with.
    """
    doors = Doors(
        rooms.gateway,
        rooms.directory,
        rooms.watch,
        rooms.most_bytes,
        rooms.most_at_once,
        rooms.public_url,
        rooms.clock,
    )
    quick: dict[tuple[str, str], App] = {
        ("POST", "/api/generate"): doors.door("generate", read_generate),
        ("POST", "/v1/images/generations"): doors.door("images", read_images),
        ("POST", "/v1/chat/completions"): doors.door("chat", read_chat),
    }
    return Front(quick, build_api(rooms), rooms.directory, rooms.most_bytes)


class Front:
    """Sends each request to its door.

    Args:
        quick: Doors by method and path.
        api: Everything else.
        directory: Knows whether tokens are needed.
        most: Bytes of a body.
    """

    def __init__(
        self, quick: Mapping[tuple[str, str], App], api: App, directory: LiveDirectory, most: int
    ) -> None:
        self._quick, self._most = quick, most
        self._api = api
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if not self._directory.now.guarded and (why := foreign(scope)):
            await _refuse(scope, send, why)
            return
        door = self._quick.get((scope["method"], scope["path"]))
        if door is None and not scope["path"].startswith(UPLOADS):
            receive = limited(receive, self._most)
        await (door or self._api)(scope, receive, send)


def limited(receive: Receive, most: int) -> Receive:
    """Give what receives a body and ends it where it becomes too large; a framework would read on.

    Args:
        receive: Gives its parts.
        most: Bytes.
    """
    size = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise too_large(most)
        return message

    return counted


def foreign(scope: Scope) -> str:
    """Say why a request is not from this machine's user, who alone may ask a server without tokens.

    Empty when it is. Such a server trusts whoever reaches it at a loopback address. A page in a browser
    reaches it too: by a name of its own that it points here, or by a form that it sends across (which
    tells its origin).

    Args:
        scope: Of the request.
    """
    host = (header(scope, b"host") or b"localhost").decode("latin-1")
    if not is_loopback(host):
        return f"it was sent to {host[:100]!r}"
    origin = header(scope, b"origin")
    if origin is not None and not is_loopback(urlsplit(origin.decode("latin-1")).netloc):
        return f"it comes from the page {origin.decode('latin-1')[:100]!r}"
    return ""


async def _refuse(scope: Scope, send: Send, why: str) -> None:
    error = TokenNotAllowed(
        f"Without tokens this server answers to this machine alone, and {why}.",
        fix="Make a token with `lorry token create`; with it the server may be reached from elsewhere.",
    )
    name = request_id(scope)
    headers = [(b"x-request-id", name.encode()), *error_headers(error)]
    await AsgiSink(send).whole(status_of(error), headers, error_body(error, name))
