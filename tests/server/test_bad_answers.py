"""Whatever a place answers, the caller gets a clear error, nothing leaks, and no worker is lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.server.ground import (
    AnswerCut,
    Places,
    Says,
    gate,
    picture,
    place,
    refusal,
    says_json,
    settings_of,
    trained,
)
from tests.server.running import running_gateway

HTML = b"<html><body><h1>502 Bad Gateway</h1> key sk-secret-1234567890abcdef</body></html>"
JSON = {"content-type": "application/json"}

ANSWERS: dict[str, tuple[Says | Exception, str]] = {
    "a web page": (Says(200, HTML, {"content-type": "text/html"}), "answer_unusable"),
    "a web page that says it is JSON": (Says(200, HTML, JSON), "answer_unusable"),
    "a large web page": (Says(200, HTML * 2000, {"content-type": "text/html"}), "answer_unusable"),
    "half of it": (Says(200, b'{"data":[{"b64_json":"iVBOR', JSON), "answer_unusable"),
    "half of it and a reset": (Says(200, [b'{"data":['], JSON, cut=True), "answer_lost"),
    "nothing": (Says(200, b"", JSON), "answer_unusable"),
    "a list": (says_json([1, 2]), "answer_unusable"),
    "no pictures": (says_json({"data": []}), "answer_unusable"),
    "pictures that are none": (says_json({"data": [{"b64_json": "aGVsbG8="}]}), "answer_unusable"),
    "pictures of another type": (says_json({"data": [{"b64_json": 7}]}), "answer_unusable"),
    "a page with a status": (Says(502, HTML, {"content-type": "text/html"}), "platform_fault"),
    "another address": (Says(302, b"", {"location": "https://elsewhere.example"}), "request_refused"),
    "too busy": (refusal(503, "overloaded", "overloaded"), "platform_busy"),
    "no answer": (AnswerCut("connection reset"), "answer_lost"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_none_is_a_clear_error(home: Path, name: str) -> None:
    """In the shape of errors, with a code, a fix and the request's id; the next request is answered."""
    said, code = ANSWERS[name]
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        here.places.answer = lambda _: said
        got = await here.generate()
        error = got.json()["error"]
        assert (error["code"], got.status_code >= 400) == (code, True), error
        assert error["request_id"] == got.headers["x-request-id"]
        assert error["fix"]
        assert "sk-secret" not in got.text
        here.places.answer = picture
        assert (await here.generate()).status_code == 200
        assert here.rooms.watch.in_flight == 0


@pytest.mark.parametrize("name", [name for name in ANSWERS if "pictures" not in name and "list" not in name])
async def test_the_same_in_the_form_that_is_passed_on(home: Path, name: str) -> None:
    """What is passed on is judged before anything of it is sent."""
    said, code = ANSWERS[name]
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        here.places.answer = lambda _: said
        got = await here.images()
        assert got.json()["error"]["code"] == code
        assert "sk-secret" not in got.text


@pytest.mark.parametrize("told", [True, False])
def test_an_answer_that_breaks_off_in_the_middle_is_not_taken_for_whole(
    home: Path,
    told: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A large one that was begun is broken off, whether its length was told or not; the log stays quiet."""
    settings = settings_of(home)
    asyncio.run(place(settings, "tok"))
    places = Places()
    begin = b'{"model":"slug/tok","data":[{"b64_json":"' + b"A" * 100_000
    length = {"content-length": "2000000"} if told else {}
    places.answer = lambda _: Says(200, [begin, b"A" * 10], {**JSON, **length}, cut=True)
    body = {"model": "tok", "prompt": "x", "response_format": "base64"}
    with running_gateway(settings, places) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{url}/v1/images/generations", json=body)
        places.answer = picture
        assert httpx.post(f"{url}/v1/images/generations", json=body).status_code == 200
    assert caplog.records == []


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_that_breaks_off_ends_with_an_error(home: Path, cut: bool) -> None:
    """An event with the error, as clients expect it, whether it was reset or just ended without `[DONE]`."""
    settings = settings_of(home)
    await place(settings, "desk", model=trained("desk", kind="text-lora", trigger=None))
    async with gate(settings) as here:
        events = [b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n']
        kind = {"content-type": "text/event-stream"}
        here.places.answer = lambda _: Says(200, list(events), kind, cut=cut)
        body = {"model": "desk", "messages": [{"role": "user", "content": "x"}], "stream": True}
        got = await here.post("/v1/chat/completions", body)
        last = got.content.strip().splitlines()[-1]
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "answer_lost"


async def test_an_endless_answer_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size that no result has, nothing more is read."""
    monkeypatch.setattr("lorry.generation.gateway.replies.LARGEST", 1000)
    monkeypatch.setattr("lorry.generation.gateway.replies.read_whole.__defaults__", (None, 1000))
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        here.places.answer = lambda _: Says(200, [b"{" + b" " * 600, b" " * 600, b" " * 600], JSON)
        assert (await here.generate()).json()["error"]["code"] == "answer_unusable"


async def test_a_key_in_a_refusal_is_never_shown(home: Path) -> None:
    """What the platform repeats of our key is taken out."""
    settings = settings_of(home, together_key="tgp_v1_0123456789abcdef")
    await place(settings, "tok", "together-merged")
    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(400, "bad", "key tgp_v1_0123456789abcdef is bad")
        assert "0123456789abcdef" not in (await here.images()).text
