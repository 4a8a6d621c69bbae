"""Places are asked in order, left alone while they are ill, and never another model in silence."""

from __future__ import annotations

from pathlib import Path

from lorry.generation.ports import NotSent
from lorry.model.placement import PlacementState
from lorry.model.serving import Policy, Scope
from tests.server.ground import Sent, gate, picture, place, refusal, settings_of, token, trained


def place_of(sent: Sent) -> str:
    """Name the place that a request reached."""
    loras = sent.body.get("image_loras")
    return str(loras[0]["path"] if loras else sent.body["model"])


async def test_the_next_place_answers_for_one_that_does_not(home: Path) -> None:
    """The answer says who served it; after five failures the first is left alone for a while."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(also=("spare",)))
    await place(settings, "spare")
    async with gate(settings) as here:
        here.places.answer = lambda sent: (
            NotSent("refused") if "slug/tok" in place_of(sent) else picture(sent)
        )
        for asked in (2, 2, 2, 2, 2, 1, 1):
            here.places.sent.clear()
            got = await here.images()
            assert (got.status_code, got.headers["x-lorry-place"]) == (200, "spare")
            assert len(here.places.sent) == asked
        rows = (await here.client.get("/api/routes")).json()["routes"]
        assert [(row["model"], row["circuit"]) for row in rows] == [("spare", "closed"), ("tok", "open")]
        here.pass_time(6)
        here.places.answer = picture
        await here.images()  # half open: a healthy place goes first
        got = await here.images(model="tok")
        assert got.headers["x-lorry-place"] in ("tok", "spare")


async def test_a_key_that_is_rejected_waits_for_a_person(home: Path) -> None:
    """Over a restart too; told as a fault of the server's, not of the caller's key; `mend` opens it again."""
    settings = settings_of(home)
    await place(settings, "tok", "together-merged")
    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(401, "invalid_api_key", "Invalid API key")
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (502, "key_rejected")
    async with gate(settings) as here:
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (503, "no_route")
        assert here.places.sent == []
        [row] = (await here.client.get("/api/routes")).json()["routes"]
        assert row["circuit"] == "open"
        mended = await here.post("/api/routes/mend", {"keys": row["mend"]})
        assert mended.json() == {"mended": row["mend"]}
        assert (await here.images()).status_code == 200


async def test_another_key_is_another_account(home: Path) -> None:
    """What the old key did wrong is over when a person sets a new one."""
    await place(settings_of(home), "tok", "together-merged")
    async with gate(settings_of(home)) as here:
        here.places.answer = lambda _: refusal(402, "insufficient_balance", "no credit")
        assert (await here.images()).json()["error"]["code"] == "out_of_credit"
        assert (await here.images()).json()["error"]["code"] == "no_route"
    async with gate(settings_of(home, together_key="other")) as here:
        assert (await here.images()).status_code == 200


async def test_a_rate_limit_is_kept_until_its_reset(home: Path) -> None:
    """The route is left alone as long as the platform says, and callers are told how long."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(429, "rate_limit", "slow down", **{"retry-after": "30"})
        got = await here.images()
        assert (got.json()["error"]["code"], got.headers["retry-after"]) == ("rate_limited", "30")
        here.places.sent.clear()
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (503, "places_unwell")
        assert 25 <= int(got.headers["retry-after"]) <= 30
        assert here.places.sent == []
        here.pass_time(31)
        here.places.answer = picture
        assert (await here.images()).status_code == 200


async def test_never_another_base_in_silence(home: Path) -> None:
    """Other weights answer only where the policy says so, and then the answer says it."""
    settings = settings_of(home)
    other = trained("other", base="black-forest-labs/FLUX.1-dev", digest="b" * 64)
    await place(settings, "tok", policy=Policy(also=("other",)), state=PlacementState.FAILED)
    await place(settings, "other", model=other)
    async with gate(settings) as here:
        got = await here.images()
        assert (got.status_code, got.json()["error"]["code"]) == (503, "no_route")
        assert "another base model" in got.json()["error"]["message"]
        changed = await here.client.put("/api/models/tok/policy", json={"other_base": True})
        assert changed.json()["policy"]["other_base"] is True
        got = await here.images()
        assert got.headers["x-lorry-base"] == "black-forest-labs/FLUX.1-dev"


async def test_a_policy_about_licences_is_kept(home: Path) -> None:
    """A base that may not earn money is passed over, with its licence in the sentence."""
    settings = settings_of(home)
    model = trained("tok", base="black-forest-labs/FLUX.2-dev")
    await place(settings, "tok", "together-url", Policy(commercial=True), model=model)
    async with gate(settings) as here:
        got = await here.images()
        assert got.status_code == 503
        assert "Non-Commercial" in got.json()["error"]["message"]


async def test_a_model_that_is_not_ready_says_so(home: Path) -> None:
    """Its state is in the sentence; a conversation with a painter is told to be one."""
    settings = settings_of(home)
    await place(settings, "tok", state=PlacementState.DELIVERING)
    await place(settings, "cat")
    async with gate(settings) as here:
        assert "delivering" in (await here.images()).json()["error"]["message"]
        body = {"model": "cat", "messages": [{"role": "user", "content": "x"}]}
        got = await here.post("/v1/chat/completions", body)
        assert (got.status_code, got.json()["error"]["code"]) == (400, "option_invalid")


async def test_owners_do_not_see_each_other(home: Path) -> None:
    """Another owner's model looks as if there were none: in answers, lists, hints, results and adapters."""
    settings = settings_of(home)
    await place(settings, "anns", policy=Policy(owner="ann"))
    await place(settings, "bens", policy=Policy(owner="ben"))
    await place(settings, "everybodys")
    ann = await token(settings, "ann")
    async with gate(settings, secret=ann) as here:
        assert [row["id"] for row in (await here.client.get("/v1/models")).json()["data"]] == [
            "anns",
            "everybodys",
        ]
        hidden = (await here.images("bens")).json()["error"]
        absent = (await here.images("zens")).json()["error"]
        assert hidden["code"] == absent["code"] == "model_not_found"
        assert hidden["message"] == "No model 'bens' is known here. Did you mean anns?"
        assert absent["message"] == "No model 'zens' is known here. Did you mean anns?"
        loras = await here.images("anns", image_loras=[{"path": "slug/bens-adapter", "scale": 1}])
        assert loras.json()["error"]["code"] == "token_not_allowed"
        mine = (await here.generate("anns")).json()["id"]
    ben = await token(settings, "ben")
    async with gate(settings, secret=ben) as here:
        assert (await here.client.get(f"/api/generations/{mine}")).status_code == 404
        assert (await here.client.get("/api/generations")).json() == {"generations": []}


async def test_tokens_limit_what_may_be_done(home: Path) -> None:
    """Without one, with a wrong one, without the scope, for another model, too fast: each its own refusal."""
    settings = settings_of(home)
    await place(settings, "tok")
    await place(settings, "cat")
    ship = await token(settings, None, Scope.SHIP)
    slow = await token(settings, None, per_second=0.001, burst=1, models=frozenset({"tok"}))
    async with gate(settings) as here:
        assert (await here.images()).status_code == 401
        assert (await here.images()).headers["www-authenticate"].startswith("Bearer")
        wrong = await here.client.get("/v1/models", headers={"authorization": "Bearer nope"})
        assert wrong.json()["error"]["code"] == "token_invalid"
    async with gate(settings, secret=ship) as here:
        assert (await here.images()).json()["error"]["code"] == "token_not_allowed"
        assert (await here.client.get("/metrics")).status_code == 403
    async with gate(settings, secret=slow) as here:
        assert (await here.images("cat")).status_code == 404
        got = await here.images("tok")
        assert (got.status_code, got.json()["error"]["code"]) == (429, "token_rate_limited")
        assert int(got.headers["retry-after"]) > 100
        here.pass_time(1001)
        assert (await here.images("tok")).status_code == 200


async def test_tokens_are_made_listed_and_revoked_over_http(home: Path) -> None:
    """The secret is shown once and works at once; a revoked one does not."""
    settings = settings_of(home)
    await place(settings, "tok")
    admin = await token(settings, None, Scope.ADMIN)
    async with gate(settings, secret=admin) as here:
        made = (await here.post("/api/tokens", {"owner": "ann", "per_second": 5})).json()
        listed = (await here.client.get("/api/tokens")).text
        assert made["secret"] not in listed
        assert made["id"] in listed
        theirs = {"authorization": f"Bearer {made['secret']}"}
        assert (await here.client.get("/v1/models", headers=theirs)).status_code == 200
        assert (await here.client.delete(f"/api/tokens/{made['id']}")).status_code == 200
        assert (await here.client.get("/v1/models", headers=theirs)).status_code == 401
        again = await here.client.delete(f"/api/tokens/{made['id']}")
        assert again.json()["error"]["code"] == "token_unknown"


async def test_a_server_without_tokens_answers_this_machine_alone(home: Path) -> None:
    """A name from elsewhere and a page from elsewhere are refused, with the reason."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings, host="evil.example") as here:
        assert (await here.images()).status_code == 403
    async with gate(settings) as here:
        got = await here.client.get("/v1/models", headers={"origin": "https://evil.example"})
        assert "evil.example" in got.json()["error"]["message"]
        assert (
            await here.client.get("/v1/models", headers={"origin": "http://localhost:3000"})
        ).status_code == 200
