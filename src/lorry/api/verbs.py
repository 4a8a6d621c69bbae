"""What can be done with deliveries from Python; `Lorry` has these verbs and the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from lorry.delivery.refusing import Agree
from lorry.errors import InternalError, LorryError
from lorry.model.batch import Order, Outcome
from lorry.model.names import parse_name
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions, Wish
from lorry.model.placement import Placement
from lorry.model.underway import OPEN, Delivery
from lorry.wiring import House


class DeliveryVerbs:
    """Ship, hand over, resume, retry, cancel and retire models; list what is under way, and work on it."""

    _house: House

    async def ship(
        self,
        source: str | Path,
        name: str,
        *,
        route: str = "local",
        rehearse: bool | None = None,
        options: ShipOptions = DEFAULT_OPTIONS,
        agree: Agree | None = None,
    ) -> Placement:
        """Bring a model to a platform, and prove that it acts; goes on where an earlier attempt stood.

        Args:
            source: A .safetensors file, or what holds it, as `check` takes it. What the platform does not
                take as it is goes there converted, when a conversion without loss is all it needs.
            name: What the model is called from now on.
            route: One of `lorry.platforms.profiles.ROUTES`.
            rehearse: Whether the embedded engine plays the platform; as set when omitted.
            options: Choices beyond the route's defaults.
            agree: Asked before something is started that bills; nothing of the kind is started when omitted.

        Returns:
            Where it is, with the proof.

        Raises:
            LorryError: Any of the tree in `lorry.errors`; nothing half-made is billed afterwards.
        """
        deliveries = await self._house.deliveries()
        return await deliveries.ship(source, parse_name(name), self._wish(route, rehearse, options), agree)

    async def submit(
        self,
        source: str | Path,
        name: str,
        *,
        route: str = "local",
        rehearse: bool | None = None,
        options: ShipOptions = DEFAULT_OPTIONS,
        agree: Agree | None = None,
    ) -> Placement:
        """Check a model and write down that it shall be shipped; a worker does it.

        Args:
            source: As for `ship`; workers have to find the files under the same path.
            name: As for `ship`.
            route: As for `ship`.
            rehearse: As for `ship`.
            options: As for `ship`.
            agree: As for `ship`.

        Returns:
            Where it stands: on its way, or ready already.
        """
        deliveries = await self._house.deliveries()
        return await deliveries.submit(source, parse_name(name), self._wish(route, rehearse, options), agree)

    async def ship_all(
        self,
        orders: Sequence[Order],
        *,
        parallel: int = 4,
        agree: Agree | None = None,
        hand_over: bool = False,
    ) -> tuple[Outcome, ...]:
        """Ship several models, some at a time; what happens to one changes nothing for the others.

        Args:
            orders: What is asked for each.
            parallel: How many are on their way at a time.
            agree: As for `ship`; asked for each that bills.
            hand_over: Only check them and write them down, for workers.

        Returns:
            What came of each, in the same order: a placement, or an error.
        """
        room = asyncio.Semaphore(parallel)

        async def one(order: Order) -> Outcome:
            async with room:
                began = time.monotonic()
                try:
                    act = self.submit if hand_over else self.ship
                    placement = await act(
                        order.source,
                        order.name,
                        route=order.route,
                        rehearse=order.rehearse,
                        options=order.options,
                        agree=agree,
                    )
                except LorryError as error:
                    return Outcome(order, time.monotonic() - began, error=error)
                except Exception as error:  # noqa: BLE001 - a fault of ours in one must not end the others
                    fault = InternalError(f"{type(error).__name__}: {error}")
                    return Outcome(order, time.monotonic() - began, error=fault)
                return Outcome(order, time.monotonic() - began, placement=placement)

        await self._house.deliveries()  # what is wrong with the home is no fault of any model
        return tuple(await asyncio.gather(*(one(order) for order in orders)))

    async def resume(self, name: str) -> Placement:
        """Go on with a delivery that was interrupted.

        Args:
            name: The model's name.
        """
        deliveries = await self._house.deliveries()
        return await deliveries.resume(parse_name(name))

    async def retry(self, name: str, start: str) -> Placement:
        """Do a delivery again from one of its steps on; one that runs is stopped first.

        Args:
            name: The model's name.
            start: The step to begin with; those before it must have been done.
        """
        deliveries = await self._house.deliveries()
        return await deliveries.retry(parse_name(name), start)

    async def cancel(self, name: str, *, undo: bool = False) -> Placement | None:
        """Stop a delivery at once, wherever it runs.

        Args:
            name: The model's name.
            undo: Whether to remove what it made, all of it; otherwise it stays, and may bill.

        Returns:
            What is kept until `resume` goes on with it; `None` when it was undone.
        """
        deliveries = await self._house.deliveries()
        return await deliveries.cancel(parse_name(name), undo=undo)

    async def retire(self, name: str) -> None:
        """Remove a model from its platform and the Hub, all of it; the file on disk stays.

        Args:
            name: The model's name.

        Raises:
            ModelNotFound: No such model is known here.
        """
        deliveries = await self._house.deliveries()
        await deliveries.retire(parse_name(name))

    async def deliveries(self, *, all: bool = False) -> tuple[Delivery, ...]:  # noqa: A002 - the word for it
        """List what is under way, failed or waits for a person, and who works on it.

        Args:
            all: Whether to list what is ready, too.
        """
        store = await self._house.store()
        claims = await store.claiming.claims()
        workers = {worker.id: worker for worker in await store.claiming.workers()}
        found = []
        for placement in await store.placements():
            claim = claims.get(placement.model)
            who = workers.get(claim.worker) if claim and claim.alive else None
            if all or placement.state in OPEN:
                hands = (who.host, who.pid) if who else (None, None)
                found.append(Delivery(placement, *hands))
        return tuple(found)

    async def work(self, stop: asyncio.Event, *, at_once: int = 1000) -> None:
        """Go on with every delivery that nobody works on, until told to stop.

        Args:
            stop: Set when it shall end; what runs then is left for others to go on with.
            at_once: Deliveries that this process works on at most.
        """
        from lorry.delivery import Working

        deliveries = await self._house.deliveries()
        await Working(deliveries, at_once).run(stop)

    def _wish(self, route: str, rehearse: bool | None, options: ShipOptions) -> Wish:
        rehearsal = self._house.settings.rehearse if rehearse is None else rehearse
        return Wish(route, rehearsal and route != "local", options)
