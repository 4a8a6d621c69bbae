"""Nothing is paid twice, and nothing that was paid is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lorry.errors import DiskFull
from lorry.generation.ports import AnswerCut, NotSent
from lorry.model.kept import Came
from lorry.model.serving import Policy
from tests.server.ground import Says, gate, picture, place, refusal, settings_of, token, trained

#: What a picture of 1024 x 1024 on FLUX.2-dev costs: 1.048576 MP x 1.54 cents (Together API dossier 6).
CENTS = 1.048576 * 1.54


async def test_the_same_key_gets_the_same_answer(home: Path) -> None:
    """The place is asked once; other parameters under the same key are refused."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        first = await here.generate(headers={"idempotency-key": "k1"}, response_format="base64")
        again = await here.generate(headers={"idempotency-key": "k1"}, response_format="base64")
        assert first.content == again.content
        body = {"seed": 7, "response_format": "base64", "prompt": "an apple", "model": "tok"}
        turned = await here.client.post("/api/generate", json=body, headers={"idempotency-key": "k1"})
        assert turned.content == first.content
        assert len(here.places.sent) == 1
        other = await here.generate(headers={"idempotency-key": "k1"}, n=2)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
        assert other.headers["x-should-retry"] == "false"


async def test_the_same_key_at_the_same_time_is_one_request(home: Path) -> None:
    """Who comes while the first is being answered waits for its answer."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        go = asyncio.Event()

        def slow(sent: object) -> Says:
            said = picture(sent)  # type: ignore[arg-type]
            said.before = go.wait
            return said

        here.places.answer = slow
        asked = [asyncio.create_task(here.generate(headers={"idempotency-key": "k"})) for _ in range(5)]
        await here.places.arrived.wait()
        go.set()
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len(here.places.sent) == 1


async def test_what_bills_is_in_the_ledger_before_and_after(home: Path) -> None:
    """As `sent` with its price before it is sent, as `ok` with the result; the caller is told the cost."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url", model=trained("tok", base="black-forest-labs/FLUX.2-dev"))
    async with gate(settings) as here:
        store = here.rooms.access
        seen: list[str] = []

        async def look() -> None:
            seen.extend(row["outcome"] for row in await store.ledger.newest(9))  # type: ignore[attr-defined]

        def answer(sent: object) -> Says:
            said = picture(sent)  # type: ignore[arg-type]
            said.before = look
            return said

        here.places.answer = answer
        got = await here.images()
        assert float(got.headers["x-lorry-cents"]) == pytest.approx(CENTS, rel=1e-5)
        assert seen == [Came.SENT]
        [row] = await here.ledger()
        assert (row["outcome"], row["route"]) == ("ok", "together-url")
        assert row["cents"] == pytest.approx(CENTS)
        assert here.places.sent[0].body["image_loras"] == [
            {"path": "https://hub.example/tok.safetensors", "scale": 1.0}
        ]


async def test_an_unknown_outcome_is_not_sent_again(home: Path) -> None:
    """An answer is lost: it counts as paid, nobody else who bills is asked, and its key says so for good."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "tok", "together-url", Policy(also=("tok2",)), model=trained("tok", base=base))
    await place(settings, "tok2", "together-url", model=trained("tok2", base=base))
    async with gate(settings) as here:
        here.places.answer = lambda _: AnswerCut("connection reset")
        for _ in range(2):
            got = await here.generate(headers={"idempotency-key": "k"})
            error = got.json()["error"]
            assert (got.status_code, error["code"], error["retryable"]) == (502, "outcome_unknown", False)
        assert len(here.places.sent) == 1
        [row] = [row for row in await here.ledger() if row["place"]]
        assert (row["outcome"], row["cents"]) == ("unknown", pytest.approx(CENTS))


async def test_a_policy_may_allow_to_send_it_again(home: Path) -> None:
    """For as much as it allows; a place that costs nothing by the request may always be asked next."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "own", model=trained("own", base=base))
    for name, policy in (
        ("poor", Policy(also=("tok2",), resend_cents=1.0)),
        ("rich", Policy(also=("tok2",), resend_cents=2.0)),
        ("free", Policy(also=("own",), order=("together-url", "local"))),
    ):
        await place(settings, name, "together-url", policy, model=trained(name, base=base))
    await place(settings, "tok2", "together-url", model=trained("tok2", base=base))
    for name, places in (("poor", 1), ("rich", 2), ("free", 2)):
        async with gate(settings) as here:
            lost = [AnswerCut("reset")]
            here.places.answer = lambda sent, lost=lost: lost.pop() if lost else picture(sent)  # type: ignore[misc]
            got = await here.images(name)
            assert len(here.places.sent) == places, name
            assert got.status_code == (502 if places == 1 else 200)


async def test_what_was_not_sent_costs_nothing(home: Path) -> None:
    """Nobody answered there: the next place is asked, and the key is free again when there is none."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "tok", "together-url", model=trained("tok", base=base))
    async with gate(settings) as here:
        here.places.answer = lambda _: NotSent("refused")
        got = await here.generate(headers={"idempotency-key": "k"})
        assert (got.status_code, got.json()["error"]["code"]) == (503, "platform_unreachable")
        assert here.rooms.gateway.tries.spending.today("tok") == 0.0
        here.places.answer = picture
        assert (await here.generate(headers={"idempotency-key": "k"})).status_code == 200
        assert here.rooms.gateway.tries.spending.today("tok") == pytest.approx(CENTS)


async def test_a_result_that_cannot_be_stored_is_still_answered(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk loses nobody's picture: it is inside the answer, even if an address was asked for."""
    settings = settings_of(home)
    await place(settings, "tok")

    async def full(self: object, content: bytes, digest: str) -> None:
        raise DiskFull("No space is left.")

    monkeypatch.setattr("lorry.store.blobs.DiskBlobs.put", full)
    async with gate(settings) as here:
        told = (await here.generate()).json()
        assert "base64" in told["pictures"][0]


async def test_a_caller_that_leaves_finds_its_result(home: Path) -> None:
    """The work goes on without it; with the same key it is there, asked for once."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        go = asyncio.Event()

        def slow(sent: object) -> Says:
            said = picture(sent)  # type: ignore[arg-type]
            said.before = go.wait
            return said

        here.places.answer = slow
        leaving = asyncio.create_task(here.generate(headers={"idempotency-key": "k"}))
        await here.places.arrived.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        go.set()
        assert (await here.generate(headers={"idempotency-key": "k"})).status_code == 200
        assert len(here.places.sent) == 1


async def test_some_of_several_pictures_are_answered_and_the_rest_named(home: Path) -> None:
    """Three of four came: they are paid, kept and answered; the fourth is named with its error."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "tok", "together-url", model=trained("tok", base=base))
    async with gate(settings) as here:
        here.places.answer = lambda sent: (
            refusal(500, "internal") if sent.body["seed"] == 8 else picture(sent)
        )
        told = (await here.generate(n=4)).json()
        assert [made["seed"] for made in told["pictures"]] == [7, 9, 10]
        assert [(lost["seed"], lost["error"]["code"]) for lost in told["missing"]] == [(8, "platform_fault")]


async def test_spend_limits_hold(home: Path) -> None:
    """Of a token and of a policy: what does not fit is refused before it is sent, with what is left."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "tok", "together-url", Policy(day_cents=5.0), model=trained("tok", base=base))
    secret = await token(settings, None, day_cents=2.0)
    rich = await token(settings, None)
    async with gate(settings, secret=secret) as here:
        assert (await here.images()).status_code == 200
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (402, "spend_limit_reached")
        assert got.json()["error"]["evidence"]["left"]["token"] == pytest.approx(2.0 - CENTS, abs=1e-3)
        free = {"authorization": f"Bearer {rich}"}
        assert (
            await here.client.post("/api/generate", json={"model": "tok", "prompt": "x"}, headers=free)
        ).status_code == 200
        assert (
            await here.client.post("/api/generate", json={"model": "tok", "prompt": "y"}, headers=free)
        ).status_code == 200
        over = await here.client.post("/api/generate", json={"model": "tok", "prompt": "z"}, headers=free)
        assert over.json()["error"]["code"] == "spend_limit_reached"
    async with gate(settings, secret=secret) as here:  # another process finds what was spent in the ledger
        here.day[0] = here.day[0]
        assert (await here.images()).status_code == 402


async def test_a_safety_refusal_is_an_answer(home: Path) -> None:
    """It is told as the caller's, no other place is asked, and the place is as well as before."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(also=("tok2",)))
    await place(settings, "tok2")
    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(422, "nsfw_content", "NSFW content detected")
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (422, "safety_refused")
        assert len(here.places.sent) == 1
        assert here.rooms.healths.known == {}


async def test_a_stream_is_kept_under_its_key_once_it_is_whole(home: Path) -> None:
    """The same key gets the same events again; one that broke off is not kept, and its key is free."""
    settings = settings_of(home)
    await place(settings, "desk", model=trained("desk", kind="text-lora", trigger=None))
    events = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    kind = {"content-type": "text/event-stream"}
    body = {"model": "desk", "messages": [{"role": "user", "content": "x"}], "stream": True}
    async with gate(settings) as here:
        here.places.answer = lambda _: Says(200, [events], kind, cut=True)
        broken = await here.post("/v1/chat/completions", body, idempotency_key="k")
        assert b"answer_lost" in broken.content
        here.places.answer = lambda _: Says(200, [events, b"data: [DONE]\n\n"], kind)
        first = await here.post("/v1/chat/completions", body, idempotency_key="k")
        again = await here.post("/v1/chat/completions", body, idempotency_key="k")
        assert first.content == again.content == events + b"data: [DONE]\n\n"
        assert len(here.places.sent) == 2


async def test_what_was_drawn_is_kept_whatever_became_of_the_rest(home: Path) -> None:
    """A refused picture does not lose the paid ones beside it; one whose answer was lost counts as paid."""
    settings = settings_of(home)
    base = "black-forest-labs/FLUX.2-dev"
    await place(settings, "tok", "together-url", model=trained("tok", base=base))
    async with gate(settings) as here:
        fates: dict[int, Says | Exception] = {8: refusal(422, "nsfw_content", "NSFW"), 9: AnswerCut("reset")}
        here.places.answer = lambda sent: fates.get(sent.body["seed"]) or picture(sent)
        told = (await here.generate(n=4)).json()
        assert [made["seed"] for made in told["pictures"]] == [7, 10]
        assert [lost["error"]["code"] for lost in told["missing"]] == ["safety_refused", "answer_lost"]
        assert told["cents"] == pytest.approx(3 * CENTS)
        here.places.answer = lambda sent: (
            refusal(429, "rate_limit") if sent.body["seed"] == 7 else AnswerCut("reset")
        )
        assert (await here.generate(n=2)).json()["error"]["code"] == "outcome_unknown"
