"""Which names an engine answers to.

A page from elsewhere can make a browser believe that the page's own name has the address 127.0.0.1 (DNS
rebinding), and then talk to whatever listens there as if it were its own server. Such a request still carries
the page's name in its header `Host`, which is how it is told apart.
"""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lorry.listening import is_loopback


class LoopbackNamesOnly:
    """An application that answers only requests for a loopback name.

    Args:
        app: What answers them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 403."""
        if scope["type"] == "http" and not is_loopback(_host(scope)):
            message = "This engine answers at loopback addresses only; start it with a key to open it."
            body = {"error": {"message": message, "type": "invalid_request_error", "code": "foreign_host"}}
            await JSONResponse(body, status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
