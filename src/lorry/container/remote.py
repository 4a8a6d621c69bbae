"""The worker's side of Together's queue and storage (Together API dossier 4.3)."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from lorry.container.claimed import CLAIM, Job
from lorry.errors import PlatformFault

_log = logging.getLogger(__name__)

#: Seconds for which the platform holds a request for a job open when there is none.
WAIT = 5
_PATIENCE = httpx.Timeout(60, connect=10)
_TRIES = 3


class JobQueue:
    """The queue of one deployment, seen by one of its workers.

    Args:
        api_url: Root of the API.
        api_key: The key that the platform gave the container.
        name: The deployment's name.
        wait: Seconds that a request for a job may be held open.
        claim: Seconds after which a claimed job without a report goes back.
    """

    def __init__(
        self, api_url: str, api_key: str, name: str, *, wait: int = WAIT, claim: int = CLAIM
    ) -> None:
        self._name = name
        self._wait = wait
        self.claim = claim
        self._http = httpx.AsyncClient(
            base_url=api_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=_PATIENCE
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def retrieve(self) -> Job | None:
        """Claim the next job; `None` when none came within the wait.

        Raises:
            httpx.HTTPError: The queue can't be asked.
            ValueError: It answers with something else.
        """
        query = {
            "model": self._name,
            "timeout": f"{self._wait}s",
            "hostname": platform.node(),
            "claim_timeout": str(self.claim),
        }
        answer = await self._http.get("/internal/v1/queue/retrieve", params=query)
        data = answer.raise_for_status().json().get("data")
        if not data:
            return None
        if not isinstance(data.get("request_id"), str):
            raise ValueError("the queue's job has no request_id")  # noqa: TRY004 - an answer, not an argument
        return Job(data["request_id"], data.get("payload") or {})

    async def report(
        self,
        job: str,
        status: str,
        outputs: Mapping[str, Any] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> bool:
        """Say how far a job has come; tried three times, as a lost report costs a whole drawing.

        Args:
            job: Its id.
            status: `running`, `done` or `failed`.
            outputs: What it gave.
            info: What is to stand beside it.

        Returns:
            Whether the platform took it.
        """
        body: dict[str, Any] = {
            "model": self._name,
            "request_id": job,
            "status": status,
            "payload": dict(outputs or {}),
        }
        if info:
            body["info"] = dict(info)
        for _ in range(_TRIES):
            try:
                answer = await self._http.post("/internal/v1/videos/status", json=body)
            except httpx.HTTPError as error:
                _log.warning("job %s: the report could not be sent: %r", job, error)
                continue
            if answer.status_code < 500:
                if answer.is_error:
                    _log.warning("job %s: the queue refused %s (%d)", job, status, answer.status_code)
                return answer.is_success
        return False


class Storage:
    """Files at the platform, under names of ours; see `worker.Store`.

    Args:
        api_url: Root of the API.
        api_key: The key that the platform gave the container.
    """

    def __init__(self, api_url: str, api_key: str) -> None:
        self._api_url = api_url
        self._key = api_key

    def __call__(self, name: str, data: bytes) -> str:
        """Store a file and give its address.

        Raises:
            PlatformFault: The storage did not take it.
        """
        try:
            with httpx.Client(timeout=_PATIENCE) as http:
                asked = http.post(
                    f"{self._api_url}/v1/storage/upload-request",
                    json={"filename": name},
                    headers={"Authorization": f"Bearer {self._key}"},
                )
                place = asked.raise_for_status().json()["upload_url"]
                # The address carries its own permission; the key is not for whoever it leads to.
                sent = http.request(
                    place.get("method", "PUT"), place["url"], content=data, headers=place.get("headers") or {}
                )
                sent.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, LookupError, ValueError, TypeError) as error:
            raise PlatformFault(
                f"The storage did not take the picture {name}: {type(error).__name__}."
            ) from error
        return f"{self._api_url}/v1/storage/{name}"
