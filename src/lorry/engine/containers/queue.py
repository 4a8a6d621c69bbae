"""The queue's routes, for those who submit and for workers that pull (Together API dossier 4.2 and 4.3)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from lorry.engine.api_errors import invalid, not_found
from lorry.engine.config import EngineConfig
from lorry.engine.containers.bell import Bell
from lorry.engine.containers.jobs import CLAIM_SECONDS, Jobs
from lorry.engine.containers.records import JobRecord
from lorry.engine.together.identity import key_check

_DURATION = re.compile(r"([0-9]{1,3})s?")
_LONGEST_WAIT = 30


class Submission(BaseModel):
    """Body of a submit."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(min_length=1)]
    payload: dict[str, Any]
    info: dict[str, Any] | None = None
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None


class Named(BaseModel):
    """Body of a cancel, or of a clear."""

    model_config = ConfigDict(extra="ignore")

    model: str
    request_id: str = ""


class Report(BaseModel):
    """What a worker says about a job; `payload` holds its outputs."""

    model_config = ConfigDict(extra="ignore")

    model: str
    request_id: str
    status: Literal["running", "done", "failed"]
    payload: dict[str, Any] | None = None
    info: dict[str, Any] | None = None


class Queue:
    """The routes of the queues.

    Args:
        config: What the engine was told.
        jobs: The queues.
        bell: Rings when a job was put in.
        ask: Tells that a deployment is asked for something now, and whether there is one of that name.
    """

    def __init__(self, config: EngineConfig, jobs: Jobs, bell: Bell, ask: Callable[[str], bool]) -> None:
        self._config = config
        self._jobs = jobs
        self._bell = bell
        self._ask = ask

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(dependencies=[Depends(key_check(self._config))])
        for method, path, answer in (
            ("POST", "/v1/queue/submit", self.submit),
            ("GET", "/v1/queue/status", self.status),
            ("POST", "/v1/queue/cancel", self.cancel),
            ("POST", "/v1/queue/clear", self.clear),
            ("GET", "/v1/queue/metrics", self.metrics),
            ("GET", "/internal/v1/queue/retrieve", self.retrieve),
            ("POST", "/internal/v1/videos/status", self.report),
        ):
            routes.add_api_route(path, answer, methods=[method], response_model=None)
        return routes

    def submit(self, body: Submission) -> dict[str, Any]:
        """Put a job into the queue of a deployment, or of a worker that pulls from it."""
        if not self._ask(body.model) and self._jobs.puller(body.model) is None:
            raise not_found(f"A deployment named {body.model}")
        job = self._jobs.submit(body.model, body.payload, body.info or {}, body.priority or 0)
        return {"requestId": job.id}

    def status(self, model: str, request_id: str) -> dict[str, Any]:
        """Say how far a job has come."""
        job = self._jobs.look(model, request_id)
        self._ask(model)
        self._jobs.wake(model)
        return self._answer(job)

    def cancel(self, body: Named) -> JSONResponse:
        """Cancel a pending job; any other is answered with 409 and its state (the client's own words)."""
        before = self._jobs.look(body.model, body.request_id).status
        job = self._jobs.cancel(body.model, body.request_id)
        return JSONResponse({"status": job.status}, status_code=200 if before == "pending" else 409)

    def clear(self, body: Named) -> dict[str, Any]:
        """Cancel all pending jobs of a queue."""
        return {"canceled_count": self._jobs.clear(body.model)}

    def metrics(self, model: str) -> dict[str, Any]:
        """Count a queue's jobs."""
        running, waiting = self._jobs.counts(model)
        return {
            "messages_running": running,
            "messages_waiting": waiting,
            "total_jobs": running + waiting,
        }

    async def retrieve(
        self,
        model: str,
        hostname: str = "unnamed",
        timeout: str = "5s",  # noqa: ASYNC109 - the name on the wire
        claim_timeout: Annotated[int, Query(ge=1, le=86_400)] = CLAIM_SECONDS,
        idle: Annotated[str, Header(alias="x-idle-time")] = "",  # noqa: ARG002 - what workers send
    ) -> dict[str, Any]:
        """Give a worker its next job, holding the request open for a while when there is none."""
        match = _DURATION.fullmatch(timeout)
        if match is None:
            raise invalid(f"{timeout!r} is no number of seconds, such as 5s.", "timeout")
        loop = asyncio.get_running_loop()
        until = loop.time() + min(int(match[1]), _LONGEST_WAIT)
        while True:
            rung = self._bell.rung
            await run_in_threadpool(self._jobs.pulled, model, hostname)
            job = await run_in_threadpool(self._jobs.claim, model, hostname, claim_timeout)
            left = until - loop.time()
            if job is not None or left <= 0 or not await self._bell.after(rung, left):
                return {"data": None if job is None else _given(job)}

    def report(self, body: Report) -> dict[str, Any]:
        """Take a worker's word for how far a job has come."""
        job = self._jobs.report(body.model, body.request_id, body.status, body.payload or {}, body.info or {})
        return {"status": job.status}

    def _answer(self, job: JobRecord) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "model": job.queue,
            "request_id": job.id,
            "status": job.status,
            "created_at": job.created_at,
            "inputs": job.payload,
            "info": job.info,
            "priority": job.priority,
            "retries": job.retries,
            "warnings": job.warnings,
            "claimed_at": job.claimed_at,
            "done_at": job.done_at,
            "outputs": self._jobs.outputs(job.id),
        }
        return {name: value for name, value in answer.items() if value is not None}


def _given(job: JobRecord) -> dict[str, Any]:
    return {
        "model": job.queue,
        "request_id": job.id,
        "payload": job.payload,
        "info": job.info,
        "priority": job.priority,
        "retries": job.retries,
    }
