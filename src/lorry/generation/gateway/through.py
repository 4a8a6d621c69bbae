"""An answer passed on as it comes: what costs nothing by the request and nobody will ask for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import msgspec

from lorry.errors import AnswerUnusable, LorryError
from lorry.generation.gateway.composing import Outgoing, renamed
from lorry.generation.gateway.replies import (
    SMALL,
    Budget,
    object_of,
    read_whole,
    require_object_begins,
    usage_of,
)
from lorry.generation.gateway.sink import Sink
from lorry.generation.ports import AnswerCut, Line, Reply

_ENCODER = msgspec.json.Encoder()
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream")
_Head = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Passed:
    """What was seen of an answer that was passed on.

    Attributes:
        tokens: Read and written.
        body: Its pieces, where they were kept.
        broken: Whether it broke off in the middle.
    """

    tokens: tuple[int, int] = (0, 0)
    body: list[bytes] = field(default_factory=list)
    broken: bool = False


async def pass_on(
    reply: Reply, out: Outgoing, model: str, head: _Head, sink: Sink, room: Budget, length: int | None
) -> Passed:
    """Pass on an answer that is one JSON object.

    A small one is read and checked first. Of a large one the beginning is checked; if it breaks off later, so
    does what was passed on, and no client takes it for whole.

    Args:
        reply: The answer, a success.
        out: What was asked.
        model: Lorry's name of the model.
        head: Headers to answer with.
        sink: Where to.
        room: For what is on its way at once: the client upstream reads ahead of a caller that is slow.
        length: Of its body, bytes; `None` where its head does not say it.

    Raises:
        AnswerUnusable: It is no result; nothing was sent.
        AnswerCut: It broke off; when `sink.begun`, in the middle.
    """
    if length is not None and length <= SMALL:
        return await _pass_small(await read_whole(reply, length), model, head, sink)
    # Room is taken before anything of it is read: what waits for room should not be in memory.
    taken = await room.take_within(length or _GUESS, _PATIENCE)
    try:
        first = await _first(reply)
        if len(first) <= SMALL:  # of unknown length, and small after all
            return await _pass_small(first, model, head, sink)
        require_object_begins(first, reply.header("content-type"))
        begins = renamed(first[:_HEAD], out.model, model)
        headers = [*head, _JSON]
        if length is not None:
            longer = len(begins) - len(first[:_HEAD])
            headers.append((b"content-length", str(length + longer).encode()))
        await sink.begin(200, headers)
        await sink.piece(begins)
        await sink.piece(memoryview(first)[_HEAD:])
        del first
        while (piece := await reply.read()) is not None:
            await sink.piece(piece)
        await sink.end()
    finally:
        await room.give_back(taken)
    return Passed()


async def _pass_small(body: bytes, model: str, head: _Head, sink: Sink) -> Passed:
    fields = object_of(body)
    fields["model"] = msgspec.Raw(_ENCODER.encode(model))
    await sink.whole(200, [*head, _JSON], _ENCODER.encode(fields))
    return Passed(usage_of(fields))


async def _first(reply: Reply) -> bytes:
    """Read until an answer is known to be large, or to its end."""
    read: list[bytes] = []
    size = 0
    while size <= SMALL and (piece := await reply.read()) is not None:
        read.append(bytes(piece))
        size += len(piece)
    return b"".join(read)


#: Bytes at the beginning of a large answer in which the model's name is looked for.
_HEAD = 4096

#: Bytes that an answer of unknown length is counted as, and seconds that one waits for room.
_GUESS, _PATIENCE = 2 * 1024 * 1024, 2.0


async def pass_on_events(
    reply: Reply, out: Outgoing, model: str, head: _Head, sink: Sink, line: Line, *, keep: bool
) -> Passed:
    """Pass on words piece by piece: server-sent events, each with Lorry's name of the model.

    What breaks off, or is no event any more, ends with an event that holds the error, as the clients of this
    form expect it; a stream that ended as it should ends with `[DONE]`.

    Args:
        reply: The answer, a success.
        out: What was asked.
        model: Lorry's name of the model.
        head: Headers to answer with.
        sink: Where to.
        line: Tells errors.
        keep: Whether what was sent is needed again.

    Raises:
        AnswerUnusable: It is no stream of events; nothing was sent.
    """
    kind = (reply.header("content-type") or "").partition(";")[0].strip()
    if kind != "text/event-stream":
        raise AnswerUnusable(f"The platform's answer is {kind or 'of no type'} and no stream of events.")
    seen = Passed()
    events = _events(reply)
    try:
        first = await anext(events)
    except StopAsyncIteration:
        raise AnswerUnusable("The platform's answer is an empty stream.") from None
    await sink.begin(200, [*head, _EVENTS, (b"cache-control", b"no-cache")])
    try:
        event: bytes | None = first
        while event is not None:
            told = renamed(event, out.model, model)
            if b'"usage"' in told:
                seen.tokens = _tokens(told) or seen.tokens
            if keep:
                seen.body.append(told)
            await sink.piece(told)
            event = await anext(events, None)
    except AnswerCut as error:
        await sink.piece(_error_event(line.lost(error)))
        await sink.end()
        raise
    await sink.end()
    return seen


async def _events(reply: Reply) -> AsyncIterator[bytes]:
    """Split a stream at the empty lines between its events; several that came together stay together."""
    held, ended = b"", False
    while (piece := await reply.read()) is not None:
        held += piece
        whole, gap, rest = held.rpartition(b"\n\n")
        if gap:
            ended = ended or b"[DONE]" in whole
            yield whole + gap
            held = rest
        elif len(held) > SMALL * 16:
            raise AnswerCut("an event of it does not end")
    if held.strip():
        ended = ended or b"[DONE]" in held
        yield held
    if not ended:
        raise AnswerCut("it ends without [DONE]")


def _tokens(event: bytes) -> tuple[int, int] | None:
    for line in reversed(event.splitlines()):
        if line.startswith(b"data:") and b'"usage"' in line:
            try:
                found = usage_of(object_of(line[5:].strip()))
            except AnswerUnusable:
                return None
            if any(found):
                return found
    return None


def _error_event(error: LorryError) -> bytes:
    told = {"error": {**error.as_dict(), "type": "server_error", "param": None}}
    return b"data: " + _ENCODER.encode(told) + b"\n\n"
