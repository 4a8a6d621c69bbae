"""Words: what is sent, and what is no whole answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lorry.delivery.ports import Platform
from lorry.errors import NotRouted, PlatformFault, RateLimited
from lorry.model.generation import TextOrder, Words
from tests.platforms.stand_in import StandIn

CHAT = "/v1/chat/completions"
ORDER = TextOrder("slug/tok", "Hello.", max_tokens=9)
STREAM = "text/event-stream"


def _answer(content: object = "Hi.", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**body, "usage": usage, **more}).encode()


def _piece(content: str | None, finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps({**body, **more})}\n\n"


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = "data: [DONE]\n\n"


async def _streamed(platform: Platform) -> list[str | Words]:
    return [piece async for piece in platform.writer.stream(ORDER)]


async def test_an_order_is_sent_as_the_dossier_says(platform: Platform, server: StandIn) -> None:
    """One request with the user's words; what is left to the platform is not in it."""
    server.instead.append((CHAT, 200, _answer(), "application/json"))
    assert await platform.writer.write(ORDER) == Words("Hi.", "stop", (3, 2))
    assert server.seen[-1].json == {
        "model": "slug/tok",
        "messages": [{"role": "user", "content": "Hello."}],
        "max_tokens": 9,
    }
    server.instead.append((CHAT, 200, _answer(), "application/json"))
    await platform.writer.write(replace(ORDER, system="Be brief.", temperature=0.0, seed=7))
    sent = server.seen[-1].json
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent["seed"]) == (0.0, 7)


@pytest.mark.parametrize(
    "answer",
    [_answer(None), _answer(choices=[]), _answer(7), b'{"id": "c"}', b"[]", b"<html>", _answer()[:-9]],
    ids=["no text", "no choice", "a number", "no choices", "a list", "a page", "cut"],
)
async def test_what_is_no_answer_is_a_fault(platform: Platform, server: StandIn, answer: bytes) -> None:
    """Anything but text is never handed on as words."""
    server.instead.append((CHAT, 200, answer, "application/json"))
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.writer.write(ORDER)


@pytest.mark.parametrize("usage", [{}, {"usage": None}])
async def test_tokens_that_are_not_counted_are_none(
    platform: Platform, server: StandIn, usage: dict[str, Any]
) -> None:
    """An answer without a count is an answer all the same."""
    body = json.loads(_answer())
    del body["usage"]
    server.instead.append((CHAT, 200, json.dumps(body | usage).encode(), "application/json"))
    assert await platform.writer.write(ORDER) == Words("Hi.", "stop", (0, 0))


@pytest.mark.parametrize(
    "tail",
    [
        [_piece("", "stop", usage=USAGE)],
        [_piece(None, "stop"), _piece(None, choices=[], usage=USAGE)],
    ],
    ids=["with the last piece", "in a piece of its own"],
)
async def test_pieces_come_as_they_are_and_the_whole_last(
    platform: Platform, server: StandIn, tail: list[str]
) -> None:
    """Empty pieces are no pieces; the count of tokens may come with the end or behind it."""
    body = "".join([_piece("Hi"), _piece(""), _piece("."), *tail, DONE])
    server.instead.append((CHAT, 200, body.encode(), STREAM))
    assert await _streamed(platform) == ["Hi", ".", Words("Hi.", "stop", (3, 2))]
    assert server.seen[-1].json["stream"] is True


@pytest.mark.parametrize(
    "body",
    [_piece("Hi") + DONE, _piece("Hi"), _piece("Hi") + "data: {cut\n\n", "", _answer().decode()],
    ids=["no reason", "no end", "cut", "nothing", "no stream"],
)
async def test_a_stream_that_is_not_whole_is_a_fault(platform: Platform, server: StandIn, body: str) -> None:
    """What came is given; then, instead of the whole, the caller hears that it is none."""
    server.instead.append((CHAT, 200, body.encode(), STREAM))
    pieces: list[str | Words] = []

    async def listen() -> None:
        async for piece in platform.writer.stream(ORDER):
            pieces.append(piece)  # noqa: PERF401 - what came before the error is looked at

    with pytest.raises(PlatformFault, match="can't be read"):
        await listen()
    assert not [piece for piece in pieces if isinstance(piece, Words)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "the engine died"}, PlatformFault),
        ({"message": "no traffic", "code": "endpoint_not_configured"}, NotRouted),
    ],
)
async def test_a_stream_that_breaks_off_with_an_error_says_which(
    platform: Platform, server: StandIn, error: dict[str, str], kind: type[Exception]
) -> None:
    """The error inside the stream is read like any other; the sentence says that the answer had begun."""
    body = _piece("Hi") + f"data: {json.dumps({'error': error})}\n\n"
    server.instead.append((CHAT, 200, body.encode(), STREAM))
    with pytest.raises(kind, match=rf"broke off: {error['message']}"):
        await _streamed(platform)


async def test_a_refused_stream_is_told_like_any_refusal(platform: Platform, server: StandIn) -> None:
    """Before the first piece it is an answer with a status."""
    server.instead.append((CHAT, 429, b'{"error": {"message": "slow down"}}', "application/json"))
    with pytest.raises(RateLimited, match="slow down"):
        await _streamed(platform)


async def test_who_stops_listening_leaves_nothing_open(platform: Platform, server: StandIn) -> None:
    """After the first piece the stream is closed, and the connection answers the next request."""
    body = "".join([_piece("Hi"), *[_piece(".") for _ in range(50)], _piece("", "stop"), DONE])
    server.instead.append((CHAT, 200, body.encode(), STREAM))
    stream = platform.writer.stream(ORDER)
    assert await anext(stream) == "Hi"
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    server.instead.append((CHAT, 200, _answer(), "application/json"))
    assert (await platform.writer.write(ORDER)).text == "Hi."
