"""What the server is built from; `lorry.wiring` fills it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.gateway import Gateway
from lorry.generation.gateway.healths import Healths
from lorry.generation.gateway.queue import Queue
from lorry.generation.gateway.rendering import Addresses
from lorry.generation.gateway.waking import Waker
from lorry.generation.ports import Blobs, Kept
from lorry.model.batch import Order
from lorry.model.budget import Budget
from lorry.model.events import Event
from lorry.model.serving import Policy, Token
from lorry.server.drops import Drops
from lorry.server.looks import Looks
from lorry.server.streams import Streams
from lorry.server.watching import Watch
from lorry.spend.costs import Money
from lorry.spend.ports import Books


class Access(Protocol):
    """Policies and tokens, to be changed."""

    async def set_policy(self, model: str, policy: Policy) -> None:
        """Write a model's policy."""

    async def tokens(self) -> Sequence[Token]:
        """Read all tokens."""

    async def add_token(self, token: Token) -> None:
        """Write a token."""

    async def revoke(self, token: str) -> bool:
        """Revoke a token; say whether it was valid."""


class Purse(Books, Money, Protocol):
    """Leases, budgets, and what was spent."""

    async def set_budget(self, budget: Budget) -> None:
        """Write a budget."""

    async def forget_budget(self, scope: str) -> None:
        """Forget a budget."""


class Chronicle(Protocol):
    """The journal."""

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        """Read a model's events with an id above `after`, oldest first."""

    async def write(self, event: Event) -> None:
        """Append an event durably."""


class Claims(Protocol):
    """Who works on deliveries."""

    async def workers(self) -> Mapping[Any, bool]:
        """List the workers (`lorry.delivery.ports.claiming.Worker`), and whether each one's lease runs."""

    async def claims(self) -> Mapping[str, Any]:
        """List what is held (`lorry.delivery.ports.claiming.Claim`), by model."""


class Errand(Protocol):
    """Runs a command of `lorry` as a process of its own."""

    async def __call__(self, words: Sequence[str], seconds: float) -> Mapping[str, Any]:
        """Run it to its end, and give what it printed."""

    async def begin(self, words: Sequence[str], patience: float) -> Mapping[str, Any] | None:
        """Begin it; give what it printed, or `None` while it runs."""


class Deliver(Protocol):
    """Checks what a training left, and writes down that it shall be shipped."""

    async def __call__(self, order: Order, *, agree: bool) -> Mapping[str, Any]:
        """Give the placement, as data."""


#: Gives events of a picture that is being drawn, each one JSON, until it is drawn.
Previews = Callable[[str], AsyncIterator[str]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the dashboard needs beside.

    Attributes:
        errand: Runs a command of `lorry` as a process of its own.
        journal: Of all models.
        claims: Who works on deliveries.
        looks: The numbers that pages share.
        drops: Files that were dropped on a page.
        streams: The streams of events that are open.
        previews: Gives pictures while the embedded engine draws them, by the name of a request.
    """

    errand: Errand
    journal: Chronicle
    claims: Claims
    looks: Looks
    drops: Drops
    previews: Previews
    streams: Streams = field(default_factory=Streams)


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that a request may need.

    Attributes:
        gateway: Answers requests for pictures and words.
        directory: Models, policies, callers.
        queue: Carries out what waits.
        kept: What was asked and is kept.
        blobs: Pictures.
        addresses: Signs addresses and messages.
        healths: Which places answer.
        waker: Starts places.
        access: Changes policies and tokens.
        money: Leases, budgets, and what was spent.
        watch: Counts.
        deliver: Writes down that a model shall be shipped.
        desk: What the dashboard needs beside.
        refresh: Reads the directory again now.
        ready: Says why the server can't answer yet; empty when it can.
        measure: Brings the metrics up to date that are read from the database.
        now: Gives the time, UTC.
        clock: Seconds that only grow.
        most_bytes: Of a body.
        most_at_once: Requests under way at once.
        public_url: Address of this server in answers.
        version: Lorry's.
    """

    gateway: Gateway
    directory: LiveDirectory
    queue: Queue
    kept: Kept
    blobs: Blobs
    addresses: Addresses
    healths: Healths
    waker: Waker
    access: Access
    money: Purse
    watch: Watch
    deliver: Deliver
    desk: Desk
    refresh: Callable[[], Awaitable[object]]
    ready: Callable[[], Awaitable[str]]
    measure: Callable[[], Awaitable[None]]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    most_bytes: int
    most_at_once: int
    public_url: str | None
    version: str
