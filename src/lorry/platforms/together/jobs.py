"""Pictures by jobs in the queue of a dedicated container that runs Lorry's worker.

The payload and the outputs are the worker's own (`lorry.container.orders`, `lorry.container.worker`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from lorry.delivery.ports import Job, JobState, Queue
from lorry.errors import DeliveryTimeout, PlatformError, PlatformFault, RequestRefused
from lorry.model.generation import Picture, PictureOrder

#: Pictures of one job at most (`lorry.container.orders`).
_MOST_PICTURES = 4

#: Seconds between two looks at a job: quick at first, for most pictures take seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

#: Seconds after which a job counts as stuck: a container that slept has to wake and load its base first.
_LONGEST_WAIT = 900.0

Sleep = Callable[[float], Awaitable[None]]


async def paint_by_jobs(
    queue: Queue, order: PictureOrder, sleep: Sleep = asyncio.sleep
) -> tuple[Picture, ...]:
    """Draw an order's pictures, several to a job, and all jobs at once.

    Args:
        queue: Takes the jobs.
        order: What to draw; its container is named.
        sleep: Waits a number of seconds.

    Raises:
        RequestRefused: The worker could not draw; its own sentence says why.
        DeliveryTimeout: A job did not end; it was taken out of the queue where that was still possible.
        PlatformError: The queue refused or failed.
    """
    starts = range(0, order.count, _MOST_PICTURES)
    tasks = [
        asyncio.create_task(_drawn(queue, order, start, min(_MOST_PICTURES, order.count - start), sleep))
        for start in starts
    ]
    try:
        parts = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(picture for part in parts for picture in part)


async def _drawn(queue: Queue, order: PictureOrder, start: int, count: int, sleep: Sleep) -> list[Picture]:
    container, seed = order.container or "", order.seed + start
    job = await queue.submit(container, _payload(order, seed, count))
    try:
        ended = await _ended(queue, container, job, sleep)
    except (asyncio.CancelledError, DeliveryTimeout):
        await _given_up(queue, container, job)
        raise
    if ended.state is JobState.DONE:
        return _pictures(ended, seed, count)
    said = ended.message or "it gave no reason."
    raise RequestRefused(
        f"The worker of {container} could not draw: {said}",
        fix=f"Correct what it names; `lorry container logs {container}` shows what it wrote.",
        evidence={"job": job, "state": str(ended.state), "error": ended.outputs.get("error")},
    )


def _payload(order: PictureOrder, seed: int, count: int) -> dict[str, Any]:
    payload: dict[str, Any] = {"prompt": order.prompt, "seed": seed, "n": count}
    if order.steps is not None:
        payload["steps"] = order.steps
    if order.size is not None:
        payload["size"] = order.size
    if order.loras:
        payload["loras"] = [{"path": use.path, "scale": use.scale} for use in order.loras]
    return payload


async def _ended(queue: Queue, container: str, job: str, sleep: Sleep) -> Job:
    """Look at a job until it has ended; an answer that is lost only costs a look."""
    waited, pause = 0.0, _FIRST_PAUSE
    while waited < _LONGEST_WAIT:
        try:
            found = await queue.look(container, job)
        except PlatformError as error:
            if not error.retryable:
                raise
        else:
            if found.state not in (JobState.PENDING, JobState.RUNNING):
                return found
        await sleep(pause)
        waited += pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    raise DeliveryTimeout(
        f"The job {job} of {container} did not end within {_LONGEST_WAIT / 60:.0f} minutes.",
        fix=f"Run `lorry container status {container}` to see whether its workers are at work.",
        evidence={"job": job, "container": container},
    )


async def _given_up(queue: Queue, container: str, job: str) -> None:
    try:
        await queue.cancel(container, job)
    except PlatformError:
        return  # a worker has begun it, or it is gone: there is nothing to take back


def _pictures(job: Job, seed: int, count: int) -> list[Picture]:
    rows = job.outputs.get("images") or []
    if len(rows) != count:
        raise PlatformFault(f"The worker gave {len(rows)} pictures where {count} were ordered.")
    try:
        return [
            Picture(base64.b64decode(row["b64_json"], validate=True), seed + number)
            for number, row in enumerate(rows)
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise PlatformFault(f"The worker's pictures can't be read: {error}") from error
