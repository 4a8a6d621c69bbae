"""What the gateway remembers of requests: rows of the ledger, and results that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Came(StrEnum):
    """What came of an attempt."""

    OK = "ok"
    REFUSED = "refused"  # the request itself: nothing was done
    FAILED = "failed"  # nothing was done
    UNKNOWN = "unknown"  # it may have been done, and may have to be paid for
    SENT = "sent"  # written before a request that bills is sent; replaced when it has ended
    LEFT = "left"  # the caller went away first


class LedgerRow(msgspec.Struct, frozen=True):
    """An attempt to answer a request, or a request that nothing was sent for.

    Made for every request, so it is a struct of msgspec: a frozen dataclass of this size takes ten times as
    long.

    Attributes:
        id: The request's id, and the number of the attempt.
        request: The request's id.
        at: When it began, UTC.
        token: Whose token; `None` where none is needed.
        owner: Whose it is; `None` for the house.
        model: The model that was asked for.
        place: The shipped model that it was sent to; `None` when it was sent nowhere.
        route: By which route.
        rehearsal: Whether the embedded engine played the platform, so that nothing is owed.
        form: The form of the request.
        outcome: What came of it.
        code: The error's code; `None` without one.
        status: The HTTP status of the answer.
        milliseconds: How long it took.
        pictures: Number of pictures.
        tokens_in: Tokens that were read.
        tokens_out: Tokens that were written.
        cents: What it cost, or may have cost, US cents.
    """

    id: str
    request: str
    at: datetime
    token: str | None
    owner: str | None
    model: str
    place: str | None
    route: str | None
    rehearsal: bool
    form: str
    outcome: Came
    code: str | None = None
    status: int = 0
    milliseconds: float = 0.0
    pictures: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cents: float = 0.0


class State(StrEnum):
    """Where a kept request stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self in (State.DONE, State.FAILED, State.CANCELED)


@dataclass(frozen=True, slots=True)
class Generated:
    """A request whose result is kept, or that waits in the queue.

    Attributes:
        id: Its id, which is that of the request.
        owner: Whose it is; `None` for the house.
        token: By which token.
        key: Its idempotency key; `None` without one.
        fingerprint: What it has in common with a request for the same.
        model: The model that was asked for.
        form: The form of the request, and of its answer.
        body: The request, JSON.
        queued: Whether it is carried out by the queue and not by who asked.
        state: Where it stands.
        worker: Who carries it out.
        created_at: When it came, UTC.
        started_at: When it was begun.
        ended_at: When it had ended.
        answer: How it is answered: status, headers, and where body or pictures are kept.
        error: Why it failed, as data.
        webhook: Where its end is told.
        note: What is known of its progress.
    """

    id: str
    owner: str | None
    token: str | None
    key: str | None
    fingerprint: str
    model: str
    form: str
    body: str
    queued: bool
    state: State
    created_at: datetime
    worker: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    webhook: str | None = None
    note: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """An end that is still to be told.

    Attributes:
        id: Names the message; the same for every try.
        owner: Whose secret signs it.
        url: Where to.
        body: What is told, JSON.
        tries: How often it was tried.
    """

    id: str
    owner: str | None
    url: str
    body: str
    tries: int = 0
