"""One request at one place: sent once, its answer read, and what came of it as a row of the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from lorry.errors import (
    AnswerUnusable,
    LorryError,
    OutcomeUnknown,
    PlatformError,
    RequestRefused,
    Stopped,
    UsageError,
)
from lorry.generation.asking import Ask
from lorry.generation.gateway.composing import Outgoing, compose
from lorry.generation.gateway.replies import length_of, read_error
from lorry.generation.gateway.sink import Request
from lorry.generation.ports import AnswerCut, Line, NotSent, Reply, Upstream
from lorry.model.kept import Came, LedgerRow
from lorry.model.serving import Place

_T = TypeVar("_T")


class Attempt(msgspec.Struct):
    """A request at one place.

    Attributes:
        place: The place.
        line: The way there.
        cents: What it costs there, US cents.
        number: 1 for the first place that was tried.
        began: When, seconds of the gateway's clock.
        first_byte: When the answer's head had come; `None` before.
        length: Of the answer's body as its head says it, bytes; `None` when it does not.
        pictures: Number of pictures that came.
        tokens: Tokens read and written.
    """

    place: Place
    line: Line
    cents: float
    number: int
    began: float
    first_byte: float | None = None
    length: int | None = None
    pictures: int = 0
    tokens: tuple[int, int] = (0, 0)


class Asleep(Exception):
    """The place that should answer is asleep, and no other may."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.key)
        self.place = place


class Observer(Protocol):
    """Hears what becomes of requests: metrics."""

    def tried(self, row: LedgerRow, first_byte: float | None) -> None:
        """Hear the end of an attempt; `first_byte` is seconds from its beginning."""


def row_of(
    request: Request,
    ask: Ask,
    attempt: Attempt,
    came: Came,
    error: LorryError | None,
    now: datetime,
    clock: float,
) -> LedgerRow:
    """Give the row of the ledger for an attempt.

    Args:
        request: What came.
        ask: What was asked for.
        attempt: At which place.
        came: What came of it.
        error: Why, where it failed.
        now: The time, UTC.
        clock: Seconds of the gateway's clock.
    """
    place = attempt.place
    status = 200 if came is Came.OK else int(error.evidence.get("status") or 0) if error else 0
    return LedgerRow(
        f"{request.id}-{attempt.number}",
        request.id,
        now,
        request.caller.token,
        request.caller.owner,
        ask.model,
        place.key,
        place.route,
        place.placement.rehearsal,
        ask.form.value,
        came,
        error.code if error else None,
        status,
        (clock - attempt.began) * 1000,
        attempt.pictures,
        *attempt.tokens,
        attempt.cents,
    )


async def ask_place(
    upstream: Upstream,
    clock: Callable[[], float],
    request: Request,
    ask: Ask,
    attempt: Attempt,
    read: Callable[[Reply, Outgoing], Awaitable[_T]],
    *,
    seed: int | None = None,
) -> _T:
    """Send a request to a place once, and read its answer when it is a success.

    Args:
        upstream: The HTTP client.
        clock: Seconds that only grow.
        request: What came.
        ask: What was asked for.
        attempt: Which place.
        read: Reads the answer.
        seed: Of the one picture that is asked for, where each is asked for by itself.

    Raises:
        LorryError: It was refused, or failed, or its answer is no result.
    """
    out = compose(ask, attempt.place, attempt.line, seed=seed)
    headers = {**attempt.line.headers, "x-request-id": request.id}
    if request.trace:
        headers.update(request.trace)
    try:
        async with upstream.post(out.url, headers, out.body) as reply:
            attempt.first_byte = clock()
            attempt.length = length_of(reply)
            if not 200 <= reply.status < 300:
                body = await read_error(reply)
                raise attempt.line.refusal(reply.status, reply.headers(), body, out.url)
            return await read(reply, out)
    except NotSent as error:
        raise attempt.line.not_sent(error) from error
    except AnswerCut as error:
        raise attempt.line.lost(error) from error


def refuses(error: LorryError) -> bool:
    """Say whether an error is an answer to the request itself, which no other place would give otherwise."""
    return isinstance(error, UsageError) or (
        isinstance(error, RequestRefused) and not error.retryable and not isinstance(error, Stopped)
    )


def may_have_acted(error: LorryError) -> bool:
    """Say whether a request may have been carried out all the same."""
    return isinstance(error, AnswerUnusable) or (isinstance(error, PlatformError) and error.may_have_acted)


def as_unknown(error: LorryError) -> OutcomeUnknown:
    """Say of a request that may have been paid for that it is not sent again."""
    return OutcomeUnknown(
        f"Nobody knows whether the request was carried out, so it is not sent again: {error.message}",
        evidence={**error.evidence, "cause": error.code},
    )
