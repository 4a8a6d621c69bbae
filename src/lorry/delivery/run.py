"""What a step of a delivery is given to work with, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from lorry.delivery.intents import Change, Creation, Found, change_once, create_once
from lorry.delivery.place import Place, Places
from lorry.delivery.policy import Policy
from lorry.delivery.ports import Intents, Journal, Now, Platform, Publisher, Records
from lorry.errors import NotThere
from lorry.journal import step_note
from lorry.model.events import Event
from lorry.model.names import provider_name
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.model.placement import Placement, TrainedModel

Values = dict[str, Any]


class Hold(Protocol):
    """The right to work on a delivery (`custody.Custody`)."""

    async def keep(self, model: str) -> None:
        """Go on only while the right is there; the task that lost it is cancelled."""

    async def settle(self, model: str) -> None:
        """Note that a step was done."""


class Free:
    """The right that nobody contests."""

    async def keep(self, model: str) -> None:
        """Go on."""

    async def settle(self, model: str) -> None:
        """Note nothing."""


#: Called with a model and the price of what is about to be made for it, US cents an hour; raises BudgetSpent
#: where that does not fit into a budget.
Allow = Callable[[TrainedModel, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a delivery works with; `files` lets few at once read and send whole files."""

    home: Path
    records: Records
    journal: Journal
    intents: Intents
    places: Places
    now: Now
    policy: Policy
    listen: Callable[[Event], None]
    hold: Hold = field(default_factory=lambda: Free())
    files: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    allow: Allow | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A step ended well; `ids` are the platform's names that it learned."""

    message: str
    ids: Mapping[str, str | None] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """A step waits for a state that has not come.

    Attributes:
        message: What was seen, as a sentence.
        said: The platform's own word for the state.
    """

    message: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One model's way through one workflow: what a step is given to work with.

    `due` is when all of it has to have ended; `None` for whenever it ends.
    """

    world: World
    place: Place
    model: TrainedModel
    source: str
    options: ShipOptions = DEFAULT_OPTIONS
    due: datetime | None = None

    @property
    def platform(self) -> Platform:
        """Give the platform of the route."""
        return self.place.platform

    @property
    def publisher(self) -> Publisher:
        """Give the Hub of the route."""
        return self.place.publisher

    @property
    def name(self) -> str:
        """Give the deterministic name of everything of this model at a platform."""
        return provider_name(self.model.name, self.model.digest)

    def key(self, kind: str) -> str:
        """Give the key of an intent of this model."""
        return f"{self.model.name}/{self.model.digest[:8]}/{kind}"

    async def placement(self) -> Placement:
        """Read where the model stands."""
        placement = await self.world.records.placement(self.model.name)
        if placement is None:
            raise NotThere(f"{self.model.name} is not known here any more.")
        return placement

    async def save(self, **changes: Any) -> Placement:
        """Write where the model stands, with these changes."""
        changed = replace(await self.placement(), **changes, updated_at=self.world.now())
        await self.world.records.save_placement(changed)
        return changed

    async def save_ids(self, **ids: str | None) -> Placement:
        """Note what the platform calls something before the step that learned it is done."""
        return await self.save(ids=replace((await self.placement()).ids, **ids))

    async def tell(self, event: Event) -> None:
        """Write an event durably, then say it to whoever listens."""
        await self.world.journal.write(event)
        self.world.listen(event)

    async def create(self, creation: Creation[Found], step: str) -> Found:
        """Bring a thing into being exactly once, and tell the journal (`intents.create_once`)."""

        async def note(action: str, message: str, data: Mapping[str, Any]) -> None:
            await self.note(step, action, message, data)

        await self.world.hold.keep(self.model.name)
        return await create_once(creation, self.world.intents, note)

    async def change(self, change: Change) -> bool:
        """Make something so exactly once; gives whether anything was sent (`intents.change_once`)."""
        await self.world.hold.keep(self.model.name)
        return await change_once(change, self.world.intents)

    async def note(self, step: str, action: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Tell something that happens within a step."""
        at = self.world.now()
        await self.tell(step_note(self.model.name, self.source, step, action, message, at, data))


def always(_: Run) -> bool:
    """Have a step in every delivery."""
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """A named step: `doing` is said when it begins, `act` does it once.

    `when` says whether a delivery has this step at all; it may look at nothing but the model and its options,
    as its answer must come out the same when the workflow runs again. A `heavy` step reads or sends whole
    files, which few deliveries of a process do at once.
    """

    name: str
    doing: str
    act: Callable[[Run], Awaitable[Done | Pending]]
    when: Callable[[Run], bool] = always
    heavy: bool = False
