"""What the gateway remembers, as far as it is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from lorry.model.kept import Generated, Hook, LedgerRow, State
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import Policy, Token


class Ledger(Protocol):
    """What was asked, what came of it, and what it cost."""

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write rows in one transaction; one with an id that is there replaces it."""

    async def spent(self, since: datetime) -> list[dict[str, Any]]:
        """Sum the cents since a time, by `day`, `token`, `model` and `rehearsal`."""


class Kept(Protocol):
    """Requests whose results are kept, and the queue."""

    async def begin(
        self,
        row: Generated,
        seconds: float = 0.0,
        *,
        ledger: Sequence[LedgerRow] = (),
        hook: Hook | None = None,
    ) -> Generated | None:
        """Write a new one, held for so long; give the one with its owner and key, and write nothing then.

        One that has ended already is written with what it cost and whom to tell.
        """

    async def find(self, id: str) -> Generated | None:  # noqa: A002 - what it is called
        """Read one by its id."""

    async def with_key(self, owner: str | None, key: str) -> Generated | None:
        """Read one by its owner and key."""

    async def end(
        self,
        id: str,  # noqa: A002
        state: State,
        at: datetime,
        *,
        answer: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        ledger: Sequence[LedgerRow] = (),
        hook: Hook | None = None,
    ) -> None:
        """Note the end of one, with what it cost and whom to tell, in one transaction."""

    async def drop(self, id: str) -> None:  # noqa: A002
        """Forget one that came to nothing, so that its key is free again."""

    async def note(self, id: str, note: Mapping[str, Any]) -> None:  # noqa: A002
        """Note the progress of one."""

    async def waiting(self, limit: int) -> list[Generated]:
        """Read what waits in the queue, oldest first."""

    async def running(self) -> list[tuple[str | None, str]]:
        """List owner and model of what the queue is carrying out, in all processes."""

    async def claim(self, id: str, worker: str, seconds: float, at: datetime) -> bool:  # noqa: A002
        """Begin one that waits, for so long; say whether nobody else had."""

    async def renew(self, worker: str, seconds: float) -> None:
        """Hold on to what a worker has begun."""

    async def lost(self) -> list[Generated]:
        """List what was begun by workers that are gone."""

    async def was_sent(self, id: str) -> bool:  # noqa: A002
        """Say whether the ledger has it as sent to a place that bills, without an end."""

    async def requeue(self, id: str) -> None:  # noqa: A002
        """Put one back into the queue, of which nothing was sent."""

    async def cancel(self, id: str, at: datetime) -> bool:  # noqa: A002
        """End one that waits; say whether it still waited."""

    async def listed(
        self, owner: str | None, *, everybody: bool, limit: int, key: str | None = None
    ) -> list[Generated]:
        """Read the newest of an owner, or of everybody; where a key is given, those that begin so."""

    async def counts(self) -> dict[str, int]:
        """Count what is in the queue, by state."""

    async def forget(self, before: datetime) -> int:
        """Forget what ended before a time; say how many."""


class Hooks(Protocol):
    """Ends that are still to be told."""

    async def due(self, limit: int) -> list[Hook]:
        """Take what is due, and keep others from it for a while."""

    async def told(self, id: str) -> None:  # noqa: A002
        """Note that one was heard."""

    async def again(self, id: str, seconds: float, said: str, *, give_up: bool) -> None:  # noqa: A002
        """Note that one was not heard, and when to try again, or that nobody tries any more."""


class Directory(Protocol):
    """Models, their placements and policies, and tokens; read again when they change."""

    async def mark(self) -> str:
        """Give a mark of the present state; it differs from an earlier one when something changed."""

    async def changed(self, since: str) -> tuple[tuple[TrainedModel, ...], tuple[Placement, ...], str]:
        """Read the models and placements that changed from a time on, and give the time to go on from.

        The time is empty for all of them.
        """

    async def counts(self) -> tuple[int, int]:
        """Count the models and the placements."""

    async def policies(self) -> Mapping[str, Policy]:
        """Read all policies, by model."""

    async def tokens(self) -> tuple[Token, ...]:
        """Read all tokens."""


class Outages(Protocol):
    """What a person has to mend."""

    async def held(self) -> Mapping[str, str]:
        """Read why, by place or account."""

    async def hold(self, key: str, code: str, reason: str) -> None:
        """Note one."""

    async def mended(self, keys: Collection[str]) -> None:
        """Forget some."""


class Starts(Protocol):
    """How long places that were asleep took to answer."""

    async def took(self, model: str, route: str, *, rehearsal: bool, stages: Mapping[str, float]) -> None:
        """Note a start: seconds by stage."""

    async def known(self, route: str, *, rehearsal: bool) -> list[tuple[str, str, float]]:
        """Read model, stage and seconds of the newest starts of a route."""
