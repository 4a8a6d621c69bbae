"""How the engine's Hub says no: the headers from which huggingface_hub chooses its exception.

The Hub names the cause in `X-Error-Code` and says it in `X-Error-Message`; the body is `{"error": …}` (LoRA
formats dossier 3.3). The routes of the Hub answer this way themselves, whatever the rest of the engine does.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from lorry.engine.config import EngineConfig
from lorry.errors import DiskFull, LorryError

#: The sentence by which huggingface_hub tells a wrong token from a repository that it may not see.
WRONG_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105  # a sentence, not a token


class HubRefusal(Exception):
    """A request to the Hub that is answered with an error.

    Args:
        status: HTTP status.
        message: One plain sentence.
        code: `X-Error-Code`, where the client has an exception of its own for it.
        body: What the body says besides `error`.
    """

    def __init__(
        self, status: int, message: str, code: str | None = None, body: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.body = body or {}

    def answer(self) -> JSONResponse:
        """Write it as the Hub does."""
        # Header values are latin-1 (RFC 9110, 5.5) and one line; the body has the sentence in full.
        line = " ".join(self.message.split()).encode("latin-1", "replace").decode("latin-1")
        headers = {"X-Error-Message": line} | ({"X-Error-Code": self.code} if self.code else {})
        return JSONResponse({**self.body, "error": self.message}, status_code=self.status, headers=headers)


def repo_not_found(repo: str, *, known_reader: bool) -> HubRefusal:
    """Say that a repository is not there; who sends no token learns no more than that (401)."""
    message = f"Repository not found: {repo}" if known_reader else "Invalid username or password."
    return HubRefusal(404 if known_reader else 401, message, "RepoNotFound")


def entry_not_found(path: str) -> HubRefusal:
    """Say that a repository has no such file."""
    return HubRefusal(404, f"Entry not found: {path}", "EntryNotFound")


def revision_not_found(revision: str) -> HubRefusal:
    """Say that a repository has no such revision."""
    return HubRefusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def gated(repo: str) -> HubRefusal:
    """Refuse the files of a gated repository to who sends no token."""
    message = f"Access to model {repo} is restricted. You must have access to it and be authenticated."
    return HubRefusal(401, message, "GatedRepo")


def bad_request(message: str) -> HubRefusal:
    """Refuse a request that can't be meant as it stands."""
    return HubRefusal(400, message)


class HubRoute(APIRoute):
    """A route whose errors leave it in the Hub's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except HubRefusal as refusal:
                return refusal.answer()
            except RequestValidationError as error:
                problem = error.errors()[0]
                where = ".".join(str(part) for part in problem["loc"])
                return bad_request(f"{where}: {problem['msg']}.").answer()
            except LorryError as error:
                # 507 Insufficient Storage (RFC 4918, 11.5)
                return HubRefusal(507 if isinstance(error, DiskFull) else 500, error.message).answer()

        return answered


def reads_with_token(config: EngineConfig, request: Request) -> bool:
    """Say whether a reader sent the right token; none at all may still read what is public.

    Raises:
        HubRefusal: 401, the token is wrong.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if not header:
        return False
    wrong = config.api_key is not None and not hmac.compare_digest(token.encode(), config.api_key.encode())
    if scheme.lower() != "bearer" or not token or wrong:
        raise HubRefusal(401, WRONG_TOKEN)
    return True


def token_check(config: EngineConfig) -> Callable[[Request], None]:
    """Make the dependency that lets only the right token write."""

    def check(request: Request) -> None:
        if not reads_with_token(config, request):
            raise HubRefusal(401, "Invalid username or password.")

    return check
