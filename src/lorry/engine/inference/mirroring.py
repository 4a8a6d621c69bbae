"""Copies of requests for the shadows of an endpoint: answered after everybody else, and by nobody read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool

from lorry.engine.api_errors import Refusal
from lorry.engine.inference.targets import Target, Targets
from lorry.engine.together.shadow_experiments import ShadowExperiments
from lorry.errors import LorryError

#: Asks another target for the same.
Again = Callable[[Target], Awaitable[object]]


class Mirrors:
    """Sends copies to shadows.

    Args:
        targets: Finds what answers.
        shadows: Says who gets copies.
    """

    def __init__(self, targets: Targets, shadows: ShadowExperiments) -> None:
        self._targets = targets
        self._shadows = shadows
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, target: Target, sticky: str, again: Again) -> None:
        """Have copies of a request answered some time; what becomes of them only the analytics tell.

        Args:
            target: Who answers the request itself.
            sticky: What tells requests apart.
            again: Asks another target for the same.
        """
        if target.endpoint is None:
            return
        for deployment in self._shadows.copies(target.endpoint, sticky):
            task = asyncio.create_task(self._copy(target.endpoint, deployment, again))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _copy(self, endpoint: str, deployment: str, again: Again) -> None:
        try:
            mirror = await run_in_threadpool(self._targets.mirror, endpoint, deployment)
            if mirror is not None:
                await again(mirror)
        except (LorryError, Refusal):
            return  # a shadow that fails is seen in its own numbers, and by no client
