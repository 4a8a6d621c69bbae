"""The queue: accepted at once, carried out fairly, over restarts, and told when it has ended."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lorry.generation.gateway.webhooks import RESTS, Teller
from lorry.model.kept import Came, LedgerRow
from lorry.model.serving import Policy
from lorry.store import open_store
from tests.server.ground import Says, gate, picture, place, refusal, settings_of, token
from tests.server.test_asleep import ended


async def test_a_request_is_carried_out_later(home: Path) -> None:
    """202 with an address; there its state, then its result, exactly as it would have been answered."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        body = {"model": "tok", "prompt": "an apple", "seed": 5}
        got = await here.post("/api/generations", body)
        assert (got.status_code, got.headers["location"]) == (202, got.json()["status_url"])
        status = await ended(here, got.headers["location"])
        result = (await here.client.get(got.headers["location"] + "/result")).json()
        assert status["result"] == result
        assert result["pictures"][0]["seed"] == 5
        listed = (await here.client.get("/api/generations")).json()["generations"]
        assert [row["id"] for row in listed] == [result["id"]]


async def test_the_same_key_is_queued_once(home: Path) -> None:
    """And belongs to that request in all forms."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        body = {"model": "tok", "prompt": "an apple", "seed": 5}
        ids = {
            (await here.post("/api/generations", body, idempotency_key="k")).json()["id"] for _ in range(3)
        }
        assert len(ids) == 1
        other = await here.post("/api/generations", {**body, "seed": 6}, idempotency_key="k")
        assert other.status_code == 409


async def test_what_can_never_be_answered_is_refused_at_once(home: Path) -> None:
    """An unknown model and a broken body are told now, not later."""
    settings = settings_of(home)
    async with gate(settings) as here:
        assert (await here.post("/api/generations", {"model": "tok", "prompt": "x"})).status_code == 404
        assert (await here.post("/api/generations", {"model": "tok"})).status_code == 400


async def test_what_waits_can_be_canceled(home: Path) -> None:
    """What was begun or has ended can't, and says so."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(at_once=1))
    async with gate(settings) as here:
        go = asyncio.Event()

        def slow(sent: Any) -> Says:
            said = picture(sent)
            said.before = go.wait
            return said

        here.places.answer = slow
        first, second = [
            (await here.post("/api/generations", {"model": "tok", "prompt": str(n)})).json()["status_url"]
            for n in range(2)
        ]
        await here.places.arrived.wait()
        assert (await here.client.post(second + "/cancel")).json()["state"] == "canceled"
        refused = await here.client.post(first + "/cancel")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "generation_ended")
        go.set()
        assert (await ended(here, first))["state"] == "done"
        assert len(here.places.sent) == 1


async def test_limits_of_owners_and_models_hold(home: Path) -> None:
    """Never more at once than a model's policy and the server allow; everything is done in the end."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(at_once=2))
    await place(settings, "cat")
    async with gate(settings) as here:
        now: dict[str, int] = {"tok": 0, "cat": 0}
        most: dict[str, int] = {"tok": 0, "cat": 0}

        def slow(sent: Any) -> Says:
            name = sent.body["model"].removeprefix("slug/")

            async def draw() -> None:
                now[name] += 1
                most[name] = max(most[name], now[name])
                for _ in range(20):
                    await asyncio.sleep(0)
                now[name] -= 1

            said = picture(sent)
            said.before = draw
            return said

        here.places.answer = slow
        urls = [
            (await here.post("/api/generations", {"model": name, "prompt": str(n)})).json()["status_url"]
            for n in range(6)
            for name in ("tok", "cat")
        ]
        for url in urls:
            assert (await ended(here, url))["state"] == "done"
        assert most["tok"] <= 2
        assert most["cat"] <= 4


async def test_the_queue_outlives_its_process(home: Path) -> None:
    """What waited is carried out by the next; what a dead one had begun and not paid for, again."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        here.rooms.queue._loop.cancel()  # type: ignore[union-attr]
        waits = (await here.post("/api/generations", {"model": "tok", "prompt": "a"})).json()["status_url"]
        begun = (await here.post("/api/generations", {"model": "tok", "prompt": "b"})).json()
        paid = (await here.post("/api/generations", {"model": "tok", "prompt": "c"})).json()
    async with open_store(home) as store:
        at = datetime.now(UTC)
        for row in (begun, paid):
            assert await store.kept.claim(row["id"], "dead", -1.0, at)
        sent = LedgerRow(
            f"{paid['id']}-1",
            paid["id"],
            at,
            None,
            None,
            "tok",
            "tok",
            "together-url",
            False,
            "generate",
            Came.SENT,
            cents=1.6,
        )
        await store.ledger.write([sent])
    async with gate(settings) as here:
        assert (await ended(here, waits))["state"] == "done"
        assert (await ended(here, begun["status_url"]))["state"] == "done"
        lost = await ended(here, paid["status_url"])
        assert lost["error"]["code"] == "outcome_unknown"
        assert sorted(sent.body["prompt"] for sent in here.places.sent) == ["TOK, a", "TOK, b"]


async def test_the_end_is_told_with_a_signature(home: Path) -> None:
    """As Standard Webhooks say: id, time and signature over both and the body; again until it is heard."""
    settings = settings_of(home)
    await place(settings, "tok")
    ann = await token(settings, "ann")
    heard: list[tuple[str, Mapping[str, str], bytes]] = []
    statuses = [500, 200]

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
        heard.append((url, headers, body))
        return statuses.pop(0)

    async with gate(settings, secret=ann) as here:
        body = {"model": "tok", "prompt": "a", "webhook": "https://app.example/done"}
        url = (await here.post("/api/generations", body)).json()["status_url"]
        await ended(here, url)
        secret = (await here.client.get("/api/webhook-secret")).json()["secret"]
        store: Any = here.rooms.access
        teller = Teller(store.hooks, post, here.rooms.addresses, lambda: 1_800_000_000.0)
        assert await teller.tell_due() == 1
        assert await teller.tell_due() == 0  # not before its time
        hook = heard[0][1]["webhook-id"]
        await store.hooks.again(hook, -1.0, "", give_up=False)
        assert await teller.tell_due() == 1
        assert await store.hooks.state(hook) == "told"
    for to, headers, content in heard:
        assert to == "https://app.example/done"
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        told = json.loads(content)
        assert (told["type"], told["data"]["result"]["model"]) == ("generation.done", "tok")


async def test_a_webhook_that_nobody_hears_is_given_up(home: Path) -> None:
    """After the last rest, or at once where it says that it is gone."""
    settings = settings_of(home)
    await place(settings, "tok")

    async def deaf(_url: str, _headers: Mapping[str, str], _body: bytes) -> int:
        return 503

    async with gate(settings) as here:
        here.places.answer = lambda _: refusal(422, "nsfw", "no")
        body = {"model": "tok", "prompt": "a", "webhook": "https://app.example/done"}
        url = (await here.post("/api/generations", body)).json()["status_url"]
        failed = await ended(here, url)
        store: Any = here.rooms.access
        teller = Teller(store.hooks, deaf, here.rooms.addresses, lambda: 0.0)
        hook = f"msg_{failed['id']}"
        for _ in range(len(RESTS) + 1):
            await store.database.run(_due_now(hook))
            assert await teller.tell_due() == 1
        assert await store.hooks.state(hook) == "given up"


def _due_now(hook: str) -> Any:
    from sqlalchemy import update

    from lorry.store.tables import WEBHOOKS

    return update(WEBHOOKS).where(WEBHOOKS.c.id == hook).values(due=0.0)


async def test_a_webhook_into_a_private_network_is_not_sent(home: Path) -> None:
    """The address is judged before it is asked, as every address is that a stranger gives."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        body = {"model": "tok", "prompt": "a", "webhook": "http://127.0.0.1:9/done"}
        told = (await here.post("/api/generations", body)).json()
        await ended(here, told["status_url"])
        store: Any = here.rooms.access
        for _ in range(300):
            rows = await store.database.rows(_said(f"msg_{told['id']}"))
            if rows and rows[0]["tries"]:
                break
            await asyncio.sleep(0.02)
        assert "127.0.0.1" in rows[0]["said"]
        assert "not asked" in rows[0]["said"]


def _said(hook: str) -> Any:
    from sqlalchemy import select

    from lorry.store.tables import WEBHOOKS

    return select(WEBHOOKS).where(WEBHOOKS.c.id == hook)


@pytest.mark.parametrize("form", ["generate", "images"])
async def test_lost_requests_of_the_living_are_not_taken(home: Path, form: str) -> None:
    """What a living process holds stays its own, however long it takes."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here:
        go = asyncio.Event()

        def slow(sent: Any) -> Says:
            said = picture(sent)
            said.before = go.wait
            return said

        here.places.answer = slow
        call = here.generate if form == "generate" else here.images
        asked = asyncio.create_task(
            call(headers={"idempotency-key": "k"})
            if form == "generate"
            else here.post("/v1/images/generations", {"model": "tok", "prompt": "x"}, idempotency_key="k")
        )
        await here.places.arrived.wait()
        await here.rooms.queue._take_over()
        go.set()
        assert (await asked).status_code == 200
        assert len(here.places.sent) == 1
