"""One job at a time, whether it came by HTTP or out of the queue, and an end that waits for the last one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lorry.container.faults import fault_data
from lorry.container.worker import Worker
from lorry.errors import InternalError, LorryError

_log = logging.getLogger(__name__)


class Desk:
    """A worker, and whether it is at work.

    Args:
        worker: What draws.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lorry-worker")
        self._turn = asyncio.Lock()
        self.healthy = False
        self.stopping = False

    @property
    def busy(self) -> bool:
        """Whether a job is being drawn."""
        return self._turn.locked()

    async def open(self) -> None:
        """Open the base model; the worker is healthy from then on.

        Raises:
            LorryError: It can't be opened.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._worker.setup)
        self.healthy = True

    async def close(self, grace: float) -> None:
        """Wait for the job that is being drawn, and let go of the base model.

        Args:
            grace: Seconds to wait at most; the platform kills the container soon after.
        """
        self.stopping, self.healthy = True, False
        try:
            async with asyncio.timeout(grace), self._turn:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._worker.shutdown)
        except TimeoutError:
            _log.error("the last job was not done within %.0f s; its claim runs out and it is retried", grace)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def draw(self, args: Mapping[str, Any], job: str) -> dict[str, Any]:
        """Draw one job when its turn comes.

        Args:
            args: Its payload.
            job: Its id.

        Returns:
            Its outputs; `error` alone when it could not be drawn.
        """
        async with self._turn:
            begun = time.perf_counter()
            loop = asyncio.get_running_loop()
            try:
                outputs = await loop.run_in_executor(self._thread, self._worker.predict, args, job)
            except Exception as error:  # noqa: BLE001 - whatever a job does, the worker lives for the next one
                return {"error": self._failed(job, error)}
            _log.info("job %s done in %.2f s", job, time.perf_counter() - begun)
            return outputs

    @staticmethod
    def _failed(job: str, error: Exception) -> dict[str, Any]:
        # Neither prompts nor addresses go into the log: they are the user's, and links may carry keys.
        foreign = not isinstance(error, LorryError) or isinstance(error, InternalError)
        data = fault_data(error)
        _log.warning("job %s failed: %s", job, data["code"], exc_info=error if foreign else None)
        return data
