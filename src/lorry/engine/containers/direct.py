"""Direct requests to a container: `/v1/deployment-request/{name}/…` (Together API dossier 4.1)."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from lorry.engine.api_errors import Refusal, Rpc, not_found
from lorry.engine.config import EngineConfig
from lorry.engine.containers.records import ContainerRecord
from lorry.engine.containers.states import STATUS
from lorry.engine.together.identity import key_check

PATH = "/v1/deployment-request/{name}/{rest:path}"


class Direct:
    """An ASGI application that hands a request on to the worker of a container.

    Args:
        config: What the engine was told.
        ask: Notes that something is asked of a container, and gives it; `None` where there is none.
        app: Gives the application of a container's worker.
    """

    def __init__(
        self,
        config: EngineConfig,
        ask: Callable[[str], ContainerRecord | None],
        app: Callable[[str], Starlette | None],
    ) -> None:
        self._check = key_check(config)
        self._ask = ask
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._check(Request(scope))
        name, rest = scope["path_params"]["name"], "/" + scope["path_params"]["rest"]
        record = await run_in_threadpool(self._ask, name)
        if record is None:
            raise not_found(f"The deployment {name}")
        app = self._app(record.id)
        if record.phase != "ready" or app is None:
            message = f"The deployment {name} has no replica that answers: it is {STATUS[record.phase]}."
            raise Refusal(Rpc.UNAVAILABLE, message, reason="no_ready_replica")
        # The key is the engine's affair and not the worker's.
        headers = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        inner = {**scope, "path": rest, "raw_path": rest.encode(), "root_path": "", "headers": headers}
        inner.pop("path_params")
        await app(inner, receive, send)
