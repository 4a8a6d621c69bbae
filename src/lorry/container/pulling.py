"""The loop of a worker in queue mode: claim a job, keep the claim alive, draw, report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx

from lorry.container.claimed import Job
from lorry.container.desk import Desk

_log = logging.getLogger(__name__)

#: Seconds before the queue is asked again after a fault: the first, and the most.
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0


class Jobs(Protocol):
    """A queue as its worker sees it (`remote.JobQueue`).

    Attributes:
        claim: Seconds after which a claimed job without a report goes back.
    """

    claim: int

    async def retrieve(self) -> Job | None:
        """Claim the next job; `None` when none came for a while."""

    async def report(
        self,
        job: str,
        status: str,
        outputs: Mapping[str, Any] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> bool:
        """Say how far a job has come, and whether that was taken."""


async def pull(desk: Desk, queue: Jobs) -> None:
    """Work through a queue until the desk is stopping; the job at hand is always finished and reported.

    Args:
        desk: Draws the jobs.
        queue: Gives them.
    """
    pause = _PAUSE
    while not desk.stopping:
        try:
            job = await queue.retrieve()
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            _log.warning("the queue can't be asked, again in %.1f s: %r", pause, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        pause = _PAUSE
        if job is not None:
            await _work(desk, queue, job)


async def _work(desk: Desk, queue: Jobs, job: Job) -> None:
    async with _claimed(queue, job):
        outputs = await desk.draw(job.payload, job.id)
    error = outputs.get("error")
    if error is None:
        await queue.report(job.id, "done", outputs)
    else:
        # Outputs are promised for jobs that are done only, so the error stands in the info too.
        await queue.report(job.id, "failed", outputs, {"error": error})


@asynccontextmanager
async def _claimed(queue: Jobs, job: Job) -> AsyncIterator[None]:
    """Report that a job is running while the block lasts, three times within each claim."""

    async def refresh() -> None:
        while True:
            await asyncio.sleep(queue.claim / 3)
            await queue.report(job.id, "running")

    task = asyncio.create_task(refresh())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
