"""The playground: what is asked of the places, what is compared, and what is found again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lorry.errors import Unreachable
from lorry.generation.ports import NotSent
from lorry.model.serving import Policy, Scope
from tests.server.ground import PNG, gate, place, says_json, settings_of, token, trained
from tests.server.pages.browsing import visiting, words


def strength(body: dict[str, Any]) -> float | None:
    """Give the strength of the adapter that a place was asked for."""
    loras = body.get("image_loras") or [{}]
    scale = loras[0].get("scale")
    return None if scale is None else float(scale)


async def test_one_picture_is_drawn_as_the_form_says(home: Path) -> None:
    """Its numbers reach the place; the picture is shown by an address that gives it, and downloaded."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    async with gate(settings) as here, visiting(here) as visit:
        fields = {
            "model": "tok",
            "prompt": "an apple",
            "seed": "7",
            "steps": "9",
            "size": "768x512",
            "scale": "0.8",
        }
        got = await visit.send("/playground/results", fields)
        assert got.headers["hx-trigger-after-settle"] == "lorry:generated"
        (sent,) = here.places.sent
        asked = {name: sent.body[name] for name in ("seed", "steps", "width", "height")}
        assert asked == {"seed": 7, "steps": 9, "width": 768, "height": 512}
        assert strength(sent.body) == 0.8
        assert sent.body["prompt"] == "TOK, an apple"
        address = re.search(r'<img src="([^"]+)"', got.text)
        assert address is not None
        assert (await visit.client.get(address[1])).content == PNG
        assert 'download="tok-7.png"' in got.text
        assert "asked as “TOK, an apple”" in words(got)
        assert [row["outcome"] for row in await here.ledger()] == ["ok"]


async def test_with_and_without_and_two_models_differ_in_one_thing(home: Path) -> None:
    """The same prompt and seed for both, also where that is left to chance; one that fails is told alone."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    await place(settings, "blue", "together-url", model=trained("blue", trigger="BPX"))
    async with gate(settings) as here, visiting(here) as visit:
        got = await visit.send("/playground/results", {"model": "tok", "prompt": "x", "compare": "without"})
        with_, without = sorted(
            (sent.body for sent in here.places.sent), key=lambda body: -(strength(body) or 0)
        )
        assert with_["seed"] == without["seed"]
        assert not strength(without)
        assert words(got).index("without tok") < words(got).index("with tok")
        here.places.sent.clear()
        wish = {"model": "tok", "prompt": "x", "seed": "5", "compare": "other", "other": "blue"}
        await visit.send("/playground/results", wish)
        assert sorted(sent.body["prompt"] for sent in here.places.sent) == ["BPX, x", "TOK, x"]
        assert [sent.body["seed"] for sent in here.places.sent] == [5, 5]
        here.places.answer = lambda sent: NotSent("gone") if "BPX" in sent.body["prompt"] else says_json(
            {"data": [{"index": 0, "b64_json": "iVBORw0KGgo="}]})  # fmt: skip
        half = await visit.send("/playground/results", wish)
        assert half.status_code == 200
        assert Unreachable.code in half.text or "places_unwell" in half.text
        assert half.text.count("<img") == 1


async def test_words_are_asked_for_and_shown(home: Path) -> None:
    """A model for words takes the fields for words; what it says is escaped."""
    settings = settings_of(home)
    await place(
        settings, "helper", "together-attached", model=trained("helper", kind="text-lora", trigger=None)
    )
    said = "Take <b>this</b> & go"
    async with gate(settings) as here, visiting(here) as visit:
        here.places.answer = lambda _: says_json(
            {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 4}})  # fmt: skip
        wish = {"model": "helper", "prompt": "Where?", "max_tokens": "40", "scale": "1", "size": "64"}
        got = await visit.send("/playground/results", wish)
        assert "Take &lt;b&gt;this&lt;/b&gt; &amp; go" in got.text
        assert here.places.sent[0].body["max_tokens"] == 40


async def test_the_history_is_ones_own(home: Path) -> None:
    """What was generated here is there again, newest first, with its numbers; nothing that others asked."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    await place(settings, "anns", "together-url", policy=Policy(owner="ann"))
    boss, ann = await token(settings, None, Scope.ADMIN), await token(settings, "ann", Scope.GENERATE)
    async with (
        gate(settings, secret=boss) as here,
        visiting(here, boss) as visit,
        visiting(here, ann) as other,
    ):
        for seed in ("1", "2"):
            await visit.send("/playground/results", {"model": "tok", "prompt": f"apple {seed}", "seed": seed})
            here.pass_time(1)
        await here.generate("tok", {"idempotency-key": "mine"})
        await other.send("/playground/results", {"model": "anns", "prompt": "a secret"})
        mine = (await visit.data("/playground.json"))["history"]
        assert [row["fields"]["seed"] for row in mine] == [2, 1]
        assert (await visit.client.get(mine[0]["pictures"][0])).content == PNG
        theirs = (await other.data("/playground.json"))["history"]
        assert [row["fields"]["prompt"] for row in theirs] == ["a secret"]
        id_ = mine[0]["id"]
        assert (await other.part(f"/playground/results/{id_}")).status_code == 404
        assert "apple 2" in (await visit.part(f"/playground/results/{id_}")).text
        assert "apple 1" in words(await visit.part("/playground/history"))


async def test_what_can_not_be_asked_is_told(home: Path) -> None:
    """All that is wrong at once, in the place of the picture; nothing is sent."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    async with gate(settings) as here, visiting(here) as visit:
        wish = {"model": "tok", "prompt": "x", "steps": "999", "size": "huge"}
        got = await visit.send("/playground/results", wish)
        assert all(word in words(got) for word in ("steps", "size"))
        for fields, status in (
            ({"prompt": "x"}, 400),
            ({"model": "tok"}, 400),
            ({"model": "none", "prompt": "x"}, 404),
            ({"model": "tok", "prompt": "x", "seed": "lucky"}, 400),
        ):
            assert (await visit.send("/playground/results", fields)).status_code == status, fields
        assert here.places.sent == []


async def test_models_are_offered_by_what_was_typed(home: Path) -> None:
    """Those that answer, at most twenty, and only one's own."""
    settings = settings_of(home)
    for number in range(25):
        await place(settings, f"tok-{number:02}", "together-url")
    await place(settings, "anns", "together-url", policy=Policy(owner="ann"))
    secret = await token(settings, "bob", Scope.GENERATE)
    async with gate(settings) as here, visiting(here, secret) as visit:
        every = await visit.part("/playground/offered?model=tok")
        assert every.text.count("<option") == 20
        assert (await visit.part("/playground/offered?other=-07")).text.count("<option") == 1
        assert "anns" not in (await visit.part("/playground/offered")).text
