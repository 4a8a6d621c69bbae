"""A worker: takes up whatever is under way and in nobody's hands, and goes on with it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from lorry.delivery.refusing import killer
from lorry.delivery.service import Deliveries
from lorry.errors import LorryError
from lorry.model.placement import Placement, PlacementState

_UNDER_WAY = (PlacementState.DELIVERING, PlacementState.RETIRING)

#: How long a delivery that could not be taken up is left alone, in sweeps: doubled each time, at most this.
_LONGEST = 64


class Working:
    """Goes on with what nobody works on, many deliveries at once.

    Args:
        deliveries: Whose; entered by the caller.
        at_once: Deliveries that this process holds at most.
    """

    def __init__(self, deliveries: Deliveries, at_once: int = 1000) -> None:
        self._deliveries = deliveries
        self._at_once = at_once
        self._sweeps = 0
        self._left_alone: dict[str, tuple[int, int, str]] = {}  # until which sweep, how many, what was said

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what runs then is left in a state from which others go on.

        Args:
            stop: Set when it shall end.
        """
        pause = self._deliveries.world.policy.sweep
        while not stop.is_set():
            with contextlib.suppress(LorryError):  # a database that is gone may be back at the next
                await self.sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def sweep(self) -> int:
        """Look once, and take up what nobody works on.

        Returns:
            How many deliveries were taken up.
        """
        self._sweeps += 1
        custody, taken = self._deliveries.custody, 0
        await custody.bury()
        claims = await custody.claims()
        for placement in await self._deliveries.world.records.placements():
            name, claim = placement.model, claims.get(placement.model)
            if placement.state not in _UNDER_WAY or (claim is not None and claim.alive):
                continue
            if self._left_alone.get(name, (0, 0, ""))[0] > self._sweeps or not await self._within_reach(
                placement
            ):
                continue
            if len(custody.held) >= self._at_once:
                break
            if claim is not None and claim.taken >= self._deliveries.world.policy.takeovers:
                await self._deliveries.give_up(name, killer(name, claim.taken))
                continue
            taken += await self._take_up(placement)
        return taken

    async def _take_up(self, placement: Placement) -> bool:
        name = placement.model
        try:
            task = await self._deliveries.take_up(placement)
        except LorryError as error:
            await self._leave_alone(name, error)
            return False
        self._left_alone.pop(name, None)
        if task is not None:
            task.add_done_callback(_noticed)
        return task is not None

    async def _leave_alone(self, name: str, error: LorryError) -> None:
        """Come back later to what can't be taken up now, and tell its journal why, once."""
        _, times, said = self._left_alone.get(name, (0, 0, ""))
        wait = min(2**times, _LONGEST)
        self._left_alone[name] = (self._sweeps + wait, times + 1, error.message)
        if error.message != said:
            await self._deliveries.note_worker(name, error)

    async def _within_reach(self, placement: Placement) -> bool:
        """Say whether this machine can go on with it: until its files are uploaded, it has to see them."""
        if placement.state is PlacementState.RETIRING or placement.ids.revision is not None:
            return True
        model = await self._deliveries.world.records.model(placement.model)
        return model is not None and await asyncio.to_thread(Path(model.source).exists)


def _noticed(task: asyncio.Task[object]) -> None:
    """Look at how a delivery ended, which its placement says too: asyncio complains about what nobody saw."""
    if not task.cancelled():
        task.exception()
