"""One connection to Together's API: the official client, told everything and left nothing to guess."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
from together import AsyncTogether

from lorry.errors import AccessDenied, NotThere, RequestRefused, Unreachable
from lorry.platforms.together.addresses import is_loopback, require_key, root
from lorry.platforms.together.faults import Faults
from lorry.platforms.together.orderly import OrderlyClient
from lorry.platforms.together.turns import AMPLE, Limits, turns_of

_T = TypeVar("_T")

#: Seconds until a connection counts as not made; the SDK's own default (Together API dossier 5.4).
_CONNECT_SECONDS = 5.0


class Connection:
    """The client, the project that everything belongs to, and how faults are told.

    Attributes:
        client: The official client.
        faults: The translation of its errors.
        storage: Plain HTTP for addresses that carry their own permission; it knows no key.
    """

    def __init__(
        self, client: AsyncTogether, faults: Faults, storage: httpx.AsyncClient, project: str | None
    ) -> None:
        self.client = client
        self.faults = faults
        self.storage = storage
        self._project = project
        self._asking = asyncio.Lock()

    async def project(self) -> str:
        """Give the id of the project; the platform is asked once when it was not set.

        Raises:
            AccessDenied: The key belongs to no single project.
        """
        async with self._asking:
            if self._project is None:
                who = await self._whoami()
                self._project = getattr(getattr(who, "project", None), "id", None)
            if not self._project:
                kind = getattr(who, "type", "unknown")
                raise AccessDenied(
                    f"The key for {self.faults.address} belongs to no single project (it is of type {kind}).",
                    fix="Create a key inside a project at the platform, and use that one.",
                    evidence={"address": self.faults.address, "type": kind},
                )
            return self._project

    async def _whoami(self) -> object:
        try:
            with self.faults.translated("say whose key this is"):
                return await self.client.whoami()
        except NotThere as error:
            raise RequestRefused(
                f"{self.faults.address} does not speak Together's API (version 2): it has no /v3/whoami.",
                fix="Correct the platform's address, then run the same command again.",
                evidence=error.evidence,
            ) from error

    def read(self, doing: str, reading: Callable[..., _T], *answers: object) -> _T:
        """Take a value out of an answer; the SDK does not check that all fields came.

        Args:
            doing: What was asked for, to complete "was asked to …".
            reading: Reads the fields.
            answers: What it reads them from.

        Raises:
            PlatformFault: A field is missing or has another form.
        """
        try:
            return reading(*answers)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise self.faults.unreadable(str(error), doing) from error


@asynccontextmanager
async def open_connection(
    base_url: str,
    api_key: str,
    *,
    project: str | None,
    unreachable: type[Unreachable],
    timeout: float,  # noqa: ASYNC109 - the limit of each request, not of this call
    limits: Limits = AMPLE,
) -> AsyncIterator[Connection]:
    """Open a connection; nothing is sent until something is asked for.

    Args:
        base_url: Root of the API, without `/v1` (Together API dossier 8.1).
        api_key: The key.
        project: Id of the project; asked for when `None`.
        unreachable: Which error says that nobody answers.
        timeout: Seconds that a request may take.
        limits: How much all connections of this process to the address may ask of it; this machine is asked
            as much as anybody likes.

    Raises:
        SettingInvalid: The address or the key is none.
    """
    address = root(base_url)
    require_key(api_key)
    patience = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
    outside = not is_loopback(address)  # a proxy of the environment can't reach this machine
    # Reading the authorities takes 50 ms. This machine needs none, and a context without any trusts nobody.
    trust = httpx.create_ssl_context() if outside else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hooks = {"response": [_only_objects]}
    turns = turns_of(address, api_key, limits if outside else AMPLE)
    async with (
        OrderlyClient(turns, verify=trust, timeout=patience, trust_env=outside, event_hooks=hooks) as http,
        httpx.AsyncClient(verify=trust, timeout=patience, trust_env=outside) as storage,
    ):
        client = AsyncTogether(
            api_key=api_key,
            base_url=address,
            project_id=project or "",  # `None` would take it from the environment
            max_retries=0,  # its retries would send a creating call twice
            http_client=http,
        )
        client._custom_headers = {}  # it took them from TOGETHER_CUSTOM_HEADERS, an Authorization included
        yield Connection(client, Faults(address, unreachable, api_key), storage, project)


async def _only_objects(response: httpx.Response) -> None:
    """Stop at an answer that is no JSON object: the SDK would hand it on as what was asked for."""
    if not response.is_success or response.request.method == "DELETE":  # a deletion may answer with nothing
        return
    if response.headers.get("content-type", "").startswith("text/event-stream"):  # comes piece by piece
        return
    await response.aread()
    try:
        body = response.json()
    except ValueError:
        kind = response.headers.get("content-type", "of no type").split(";")[0]
        raise httpx.DecodingError(f"it is {kind} and not whole JSON", request=response.request) from None
    if not isinstance(body, dict):
        raise httpx.DecodingError("it is JSON, but not an object", request=response.request)
