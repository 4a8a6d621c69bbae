"""Answers passed on as they come, from the first place that gives one."""

from __future__ import annotations

from lorry.errors import LorryError
from lorry.generation.asking import Ask, Form
from lorry.generation.gateway.attempts import Attempt, ask_place
from lorry.generation.gateway.composing import Outgoing
from lorry.generation.gateway.patience import Patience
from lorry.generation.gateway.sink import Headers, Request, Sink
from lorry.generation.gateway.through import Passed, pass_on, pass_on_events
from lorry.generation.ports import Reply


async def passed_through(
    patience: Patience, request: Request, ask: Ask, sink: Sink, *, keep: bool = False
) -> Passed:
    """Pass the answer of a place on as it comes.

    Args:
        patience: Finds the place.
        request: What came.
        ask: What was asked for.
        sink: Where to.
        keep: Whether what was sent is needed again.

    Raises:
        LorryError: None answered; nothing was sent.
        Asleep: The place is asleep, and does not start in time.
        CallerLeft: Whoever asked has gone.
    """
    tries = patience.tries

    async def trial(attempt: Attempt) -> Passed:
        async def read(reply: Reply, out: Outgoing) -> Passed:
            head = answer_headers(request, attempt, out)
            if ask.stream:
                passed = await pass_on_events(reply, out, ask.model, head, sink, attempt.line, keep=keep)
            else:
                passed = await pass_on(reply, out, ask.model, head, sink, tries.room, attempt.length)
            attempt.tokens = passed.tokens
            attempt.pictures = 0 if ask.form is Form.CHAT else ask.count
            return passed

        try:
            return await ask_place(tries.upstream, tries.clock, request, ask, attempt, read)
        except LorryError as error:
            if not sink.begun:
                raise
            # Nothing else can be sent to this caller, so no other place is asked; its health is told.
            tries.healths.bad(attempt.place, attempt.line.account, error)
            await sink.abort()
            return Passed(broken=True)

    passed, _attempt = await patience.run(request, ask, trial)
    return passed


def answer_headers(request: Request, attempt: Attempt, out: Outgoing) -> Headers:
    """Give the headers of an answer that say how it came about."""
    place = attempt.place
    served = place.facts.get("headers")
    if served is None:
        served = place.facts["headers"] = [
            (b"x-lorry-route", place.route.encode()),
            (b"x-lorry-place", place.key.encode()),
            (b"x-lorry-base", place.model.base.encode("ascii", "replace")),
        ]
    headers = [(b"x-request-id", request.id.encode()), *served]
    if attempt.cents:
        headers.append((b"x-lorry-cents", f"{attempt.cents:.6g}".encode()))
    if out.trigger_added:
        headers.append((b"x-lorry-trigger-added", b"true"))
    return headers
