"""Deliveries: ship, resume, retry, cancel and retire models of one home, durably."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from lorry.delivery.beginning import Beginnings, Work
from lorry.delivery.custody import Custody
from lorry.delivery.durable import Runtime
from lorry.delivery.durable_opening import fault
from lorry.delivery.hands import Hands
from lorry.delivery.place import Places
from lorry.delivery.policy import Policy
from lorry.delivery.ports import Claims, Intents, Journal, Now, Records
from lorry.delivery.refusing import Agree, nothing_to_cancel
from lorry.delivery.run import Allow, World
from lorry.delivery.workflow import Workflows
from lorry.errors import DeliveryError, LorryError, error_from
from lorry.journal import step_note
from lorry.model.events import Event
from lorry.model.names import parse_name
from lorry.model.options import Wish
from lorry.model.placement import Placement, PlacementState

_CANCELLABLE = (PlacementState.DELIVERING, PlacementState.HELD, PlacementState.FAILED)


class Deliveries:
    """Take models to a platform and away from it again; an asynchronous context manager.

    Entering opens the durable runtime and says that this process lives; nothing is restarted by that. Several
    processes may do so over one home, or one database: a delivery is in the hands of one of them at a time,
    and in another's within seconds when that one dies. Leaving stops what runs in a state from which it can
    be resumed, also after Ctrl-C.

    Args:
        home: Folder of Lorry's own state.
        records: Models and placements.
        journal: Where every event is written; a decorator around one works too.
        intents: What is about to be created.
        claims: Who has which delivery.
        places: Opens routes.
        now: The time, UTC.
        policy: How long to wait and how often to try.
        listen: Hears every event as it happens; must not raise or block.
        database: Address of the Postgres database of the durable runtime; SQLite in the home when `None`.
        allow: Refuses what does not fit into a budget; everything fits when `None`.

    Raises:
        HomeBusy: On entering, when this process has other deliveries open.
        StorageError: On entering, when the home or the database can't be used.
    """

    def __init__(
        self,
        *,
        home: Path,
        records: Records,
        journal: Journal,
        intents: Intents,
        claims: Claims,
        places: Places,
        now: Now,
        policy: Policy | None = None,
        listen: Callable[[Event], None] | None = None,
        database: str | None = None,
        allow: Allow | None = None,
    ) -> None:
        chosen = policy or Policy()
        self.custody = Custody(claims, home, chosen.lease, chosen.beat, lambda name: self._hands.drop(name))
        files = asyncio.Semaphore(chosen.files_at_once)
        self.world = World(
            home, records, journal, intents, places, now, chosen, listen or _deaf, self.custody, files, allow
        )
        workflows = Workflows(self.world)
        bodies = {"ship": workflows.ship, "retire": workflows.retire}
        self._runtime = Runtime(home, bodies, self.custody.id, database)
        self._begin = Beginnings(self.world, self._runtime)
        self._open = AsyncExitStack()
        self._hands = Hands(self.world, self.custody, self._begin)

    async def __aenter__(self) -> Deliveries:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self.custody)
            await opening.enter_async_context(self._runtime)
            await self._runtime.tidy(await self.custody.living())
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def ship(
        self, source: str | Path, name: str, wish: Wish | None = None, agree: Agree | None = None
    ) -> Placement:
        """Take a model's files to a ready placement, or go on where an earlier call was stopped.

        Where another process is at it already, this one tells what that one does, and takes over if it dies.

        Args:
            source: A .safetensors file, or what holds it: a folder, an archive, a Hub repository, an address.
            name: Lorry's name for the model.
            wish: Where it shall go; to the embedded engine when omitted.
            agree: Asked when something would be made that bills; nothing of the kind is made when omitted.

        Returns:
            The ready placement; at once when these files are ready under this name already and the platform
            still has them.

        Raises:
            NameInvalid: The name breaks the rules.
            WeightsRejected: The check found errors; nothing was created anywhere.
            NameTaken: The name belongs to other files, to another route, or is being removed.
            PriceNotAccepted: It would bill, and nobody agreed.
            PlatformError: The platform refused, or failed for longer than the policy allows.
            DeliveryError: The delivery ended; the same error is in the placement.
        """
        parse_name(name)
        wanted = wish or Wish()
        place = await self.world.places.place(wanted.route, rehearsal=wanted.rehearsal)
        seen = await self._begin.look_at(source, name, place, wanted.options.base)
        async with self._hands.on(name):
            task = await self._begin.ship(seen, wanted, place, agree)
        return await self._outcome(name, task)

    async def submit(
        self, source: str | Path, name: str, wish: Wish | None = None, agree: Agree | None = None
    ) -> Placement:
        """Check a model's files and write down that they shall be shipped; a worker does it (`Working`).

        Args:
            source: As for `ship`; a worker has to find the files under the same path.
            name: As for `ship`.
            wish: As for `ship`.
            agree: As for `ship`.

        Returns:
            Where it stands: on its way, or ready already.
        """
        parse_name(name)
        wanted = wish or Wish()
        place = await self.world.places.place(wanted.route, rehearsal=wanted.rehearsal)
        seen = await self._begin.look_at(source, name, place, wanted.options.base)
        async with self._hands.free(name) as held:
            if held:
                await self._begin.hand_over(seen, wanted, place, agree)
        return await self._outcome(name, None)

    async def resume(self, name: str) -> Placement:
        """Go on with a delivery that was stopped, failed or is held, or bring back what the platform stopped.

        Args:
            name: Lorry's name of the model.

        Returns:
            The ready placement.

        Raises:
            ModelNotFound: Nothing of this name is known.
            NothingToResume: It is ready and answers, or is being removed.
            SourceChanged: The file is not the one that the delivery began with.
            LorryError: As `ship`.
        """
        await self._begin.known(name)
        async with self._hands.on(name) as waited:
            ready = waited and (await self._outcome(name, None)).state is PlacementState.READY
            task = None if ready else await self._begin.resume(name)
        return await self._outcome(name, task)

    async def retry(self, name: str, start: str) -> Placement:
        """Do a delivery again from one of its steps on; one that runs is stopped first.

        Args:
            name: Lorry's name of the model.
            start: The step; those before it must have been done.

        Returns:
            The ready placement.

        Raises:
            ModelNotFound: Nothing of this name is known.
            OptionInvalid: There is no such step, or one before it was not done; the possible ones are named.
            DeliveryBusy: Another process has it and does not let go.
            LorryError: As `ship`.
        """
        await self._begin.known(name)
        async with self._hands.on(name, wrest=True):
            task = await self._begin.retry(name, start)
        return await self._outcome(name, task)

    async def cancel(self, name: str, *, undo: bool = False) -> Placement | None:
        """Stop a delivery at once, wherever it runs and also while it waits.

        Args:
            name: Lorry's name of the model.
            undo: Whether to remove what it made, all of it; otherwise it stays as it is, and may bill.

        Returns:
            What is kept, held until somebody resumes it; `None` when it was undone.

        Raises:
            ModelNotFound: Nothing of this name is known.
            NothingToCancel: It is ready, or is being removed.
            DeliveryBusy: Another process has it and does not let go.
        """
        await self._begin.known(name)
        async with self._hands.on(name, wrest=True):
            placement = await self.world.records.placement(name)
            if placement is not None and placement.state not in _CANCELLABLE:
                raise nothing_to_cancel(placement)
            if not undo:
                await self._begin.hold(name, "It was cancelled; what exists is kept.")
                return await self._outcome(name, None)
            task = await self._begin.retire(name)
        await self._end_of(name, task)
        return None

    async def retire(self, name: str) -> None:
        """Remove a model from the platform, the Hub and Lorry's records; its journal stays.

        A delivery of it that still runs is stopped first. After an interruption the same call goes on.

        Args:
            name: Lorry's name of the model.

        Raises:
            ModelNotFound: Nothing of this name is known.
            DeliveryBusy: Another process has it and does not let go.
            PlatformError: The platform refused, or failed for longer than the policy allows.
        """
        async with self._hands.on(name, wrest=True):
            task = await self._begin.retire(name)
        await self._end_of(name, task)

    async def take_up(self, placement: Placement) -> Work | None:
        """Go on with what nobody works on; `None` when somebody does, or it is not under way any more.

        Args:
            placement: What was seen of it.
        """
        name = placement.model
        async with self._hands.free(name) as held:
            now = await self.world.records.placement(name) if held else None
            if now is None or now.state is not placement.state:
                return None
            if now.state is PlacementState.RETIRING:
                return await self._begin.retire(name)
            return await self._begin.go_on(await self._begin.known(name), now)

    async def give_up(self, name: str, error: DeliveryError) -> None:
        """Leave a delivery that nobody works on to a person."""
        async with self._hands.free(name) as held:
            if held:
                await self._begin.hold(name, error.message)
                placement = await self._outcome(name, None)
                await self.world.records.save_placement(replace(placement, error=error.as_dict()))

    async def settled(self) -> None:
        """Wait until nothing runs any more of what this process began or took up."""
        await self._hands.settled()

    async def note_worker(self, name: str, error: LorryError) -> None:
        """Tell a model's journal that a worker could not go on with it."""
        told = step_note(name, "worker", "resume", "waits", error.message, self.world.now(), error.as_dict())
        await self.world.journal.write(told)
        self.world.listen(told)

    # Ending

    async def _outcome(self, name: str, task: Work | None) -> Placement:
        if task is not None:
            await self._end_of(name, task)
        placement = await self.world.records.placement(name)
        if placement is None:
            raise DeliveryError(f"{name} was retired while it was delivered.", evidence={"model": name})
        return placement

    async def _end_of(self, name: str, task: Work) -> None:
        await asyncio.wait({task})  # leaves the task alone when the caller is cancelled
        await self._hands.let_go(task)
        if task.cancelled():
            raise DeliveryError(
                f"The work on {name} was stopped before its end.",
                fix=f"Run `lorry show {name}` to see where it stands.",
                evidence={"model": name},
            )
        failure = task.exception()
        if failure is not None:
            raise fault(failure, self.world.home) from failure
        error = task.result()["error"]
        if error is not None:
            raise error_from(error)


def _deaf(_: Event) -> None:
    """Listen to nothing."""
