"""A request is answered by the place of its model, in the form in which it was asked."""

from __future__ import annotations

import base64
from pathlib import Path

from lorry.model.serving import Policy
from tests.server.ground import PNG, Says, Sent, gate, place, says_json, settings_of, trained


async def test_the_compatible_form_is_passed_through(home: Path) -> None:
    """Model and prompt are put right, the adapter is named, what nobody here knows goes along as it came."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        got = await here.images(seed=3, user="me", lora_scale=0.5, size="512x512")
        assert got.status_code == 200
        assert base64.b64decode(got.json()["data"][0]["b64_json"]) == PNG
        assert got.json()["model"] == "tok"
        assert got.headers["x-lorry-route"] == "local"
        assert got.headers["x-lorry-trigger-added"] == "true"
        sent = here.places.sent[0]
        assert sent.url == "http://127.0.0.1:1/v1/images/generations"
        assert sent.headers["x-request-id"] == got.headers["x-request-id"]
        assert sent.body == {
            "model": "slug/tok",
            "prompt": "TOK, an apple",
            "seed": 3,
            "user": "me",
            "width": 512,
            "height": 512,
            "image_loras": [{"path": "slug/tok-adapter", "scale": 0.5}],
            "response_format": "base64",
        }


async def test_the_house_may_name_other_adapters(home: Path) -> None:
    """They come after the model's own, as they were written."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url", model=trained("tok", base="black-forest-labs/FLUX.2-dev"))
    async with gate(settings) as here:
        mine = {"path": "https://hub.example/mine.safetensors", "scale": 0.3}
        assert (await here.images(image_loras=[mine])).status_code == 200
        own = {"path": "https://hub.example/tok.safetensors", "scale": 1.0}
        assert here.places.sent[0].body["image_loras"] == [own, mine]
        wrong = await here.images(image_loras=[{"scale": "x"}])
        assert wrong.json()["error"]["code"] == "body_invalid"


async def test_pictures_as_addresses_are_kept_and_served(home: Path) -> None:
    """An address in an answer gives the very picture, to whoever has it; a changed one gives nothing."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        url = (await here.images(response_format="url")).json()["data"][0]["url"]
        got = await here.client.get(url)
        assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
        signature = url.split("/")[-2]
        forged = url.replace(signature, signature[::-1])
        assert (await here.client.get(forged)).status_code == 404


async def test_our_own_form_says_how_it_came_about(home: Path) -> None:
    """Each picture has a seed of its own and was asked for by itself; route, cost, times and id are told."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        got = await here.generate(n=3, response_format="base64", scale=0.8)
        told = got.json()
        assert [made["seed"] for made in told["pictures"]] == [7, 8, 9]
        assert {base64.b64decode(made["base64"]) for made in told["pictures"]} == {PNG}
        assert sorted(sent.body["seed"] for sent in here.places.sent) == [7, 8, 9]
        assert (told["route"], told["place"], told["cents"]) == ("local", "tok", 0.0)
        assert (told["prompt"], told["trigger_added"]) == ("TOK, an apple", True)
        assert told["id"] == got.headers["x-request-id"]
        assert set(told["timings"]) == {"first_byte", "place", "total"}


async def test_words_are_answered_in_both_forms(home: Path) -> None:
    """A model for words answers a conversation as it came, and a prompt with its text and tokens."""
    settings = settings_of(home)
    model = trained("desk", kind="text-lora", trigger=None, base="Qwen/Qwen3-8B")
    await place(settings, "desk", "together-attached", model=model)

    def answer(sent: Sent) -> Says:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        return says_json({"id": "c", "model": sent.body["model"], "choices": [choice], "usage": usage})

    async with gate(settings) as here:
        here.places.answer = answer
        body = {"model": "desk", "messages": [{"role": "user", "content": "hello"}], "top_p": 0.5}
        got = await here.post("/v1/chat/completions", body)
        assert (got.json()["model"], got.json()["choices"][0]["message"]["content"]) == ("desk", "Hi.")
        sent = here.places.sent[0].body
        assert (sent["model"], sent["top_p"]) == ("slug/shared:desk", 0.5)
        told = (await here.generate("desk", system="Be brief.", max_tokens=9)).json()
        assert told["words"] == {"text": "Hi.", "finish": "stop", "tokens": [5, 2]}
        assert here.places.sent[1].body["messages"][0] == {"role": "system", "content": "Be brief."}
        rows = await here.ledger()
        assert [(row["tokens_in"], row["tokens_out"]) for row in rows] == [(5, 2), (5, 2)]


async def test_a_stream_is_passed_on_event_by_event(home: Path) -> None:
    """Each event has Lorry's name of the model, wherever the pieces are cut; usage reaches the ledger."""
    settings = settings_of(home)
    await place(settings, "desk", model=trained("desk", kind="text-lora", trigger=None))
    events = (
        b'data: {"model":"slug/desk","choices":[{"delta":{"content":"a"}}]}\n\n'
        b'data: {"model":"slug/desk","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
        b"data: [DONE]\n\n"
    )
    async with gate(settings) as here:
        for size in (1, 7, 64, 4096):
            pieces = [events[i : i + size] for i in range(0, len(events), size)]
            here.places.answer = lambda _sent, pieces=pieces: Says(  # type: ignore[misc]
                200, pieces, {"content-type": "text/event-stream"}
            )
            body = {"model": "desk", "messages": [{"role": "user", "content": "x"}], "stream": True}
            got = await here.post("/v1/chat/completions", body)
            assert got.content == events.replace(b"slug/desk", b"desk")
        assert {row["tokens_in"] for row in await here.ledger()} == {3}


async def test_a_large_answer_is_passed_on_in_pieces(home: Path) -> None:
    """It is never whole in memory; the length that is told is the one that comes."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        big = PNG + b"\0" * 1_500_000

        def answer(sent: Sent) -> Says:
            from tests.server.ground import picture

            said = picture(sent, big)
            body = bytes(said.body)  # type: ignore[arg-type]
            return Says(200, [body[i : i + 65_536] for i in range(0, len(body), 65_536)], said.headers)

        here.places.answer = answer
        got = await here.images()
        assert int(got.headers["content-length"]) == len(got.content)
        assert got.json()["model"] == "tok"
        assert base64.b64decode(got.json()["data"][0]["b64_json"]) == big


async def test_models_are_listed_for_clients_and_for_people(home: Path) -> None:
    """Both lists have the same names; the one for people says where each is."""
    settings = settings_of(home)
    await place(settings, "tok")
    await place(settings, "cat", "together-url", Policy(owner="ann"))
    async with gate(settings) as here:
        listed = (await here.client.get("/v1/models")).json()
        assert [row["id"] for row in listed["data"]] == ["cat", "tok"]
        told = (await here.client.get("/api/models")).json()["models"]
        assert [(row["name"], row["route"], row["owner"]) for row in told] == [
            ("cat", "together-url", "ann"),
            ("tok", "local", None),
        ]
        one = (await here.client.get("/api/models/cat")).json()
        assert one["policy"]["asleep"] == "accept"
