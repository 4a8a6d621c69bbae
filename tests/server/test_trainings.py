"""`POST /api/trainings`: a training that ended elsewhere has its result shipped, for whom it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lorry.errors import WeightsRejected
from lorry.generation.gateway.signatures import signature_of
from lorry.model.batch import Order
from lorry.model.options import ShipOptions
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.model.serving import Policy, Scope
from tests.server.ground import Gate, gate, place, settings_of, token

SOURCE = "ann/portraits@v1"


async def send(
    here: Gate, body: Any, secret: str, *, owner: str | None = None, late: float = 0.0, **changed: str
) -> httpx.Response:
    """Send a message as a training service does, signed so many seconds ago."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    at = int(here.rooms.now().timestamp() - late)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,AAAA {signature_of(secret, 'msg_1', at, content)}",
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    url = "/api/trainings" + (f"?owner={owner}" if owner else "")
    return await here.client.post(url, content=content, headers=headers)


async def test_a_signed_message_has_its_training_shipped(home: Path) -> None:
    """For the owner whose secret signed it, under the name that it says, or one made of the source's."""
    settings = settings_of(home)
    boss = await token(settings, None, Scope.ADMIN)
    async with gate(settings, secret=boss) as here:
        told = (await here.client.get("/api/training-secret?owner=ann")).json()
        assert told["url"] == "http://127.0.0.1:8700/api/trainings?owner=ann"
        del here.client.headers["authorization"]
        got = await send(here, {"source": SOURCE, "route": "together-attached"}, told["secret"], owner="ann")
        assert got.status_code == 202, got.text
        assert got.json() == {
            "model": "portraits",
            "state": "delivering",
            "route": "together-attached",
            "status_url": "http://127.0.0.1:8700/api/models/portraits",
        }
        wish = {"source": SOURCE, "name": "ann-2", "base": "a/b", "rehearse": True, "agree": True}
        await send(here, wish, told["secret"], owner="ann")
        assert here.delivered.orders == [
            (Order(SOURCE, "portraits", "together-attached"), False),
            (Order(SOURCE, "ann-2", "local", True, ShipOptions(base="a/b")), True),
        ]
        store: Any = here.rooms.access
        assert (await store.policy("portraits")).owner == "ann"


async def test_what_is_not_signed_so_is_refused(home: Path) -> None:
    """Another secret, another owner's, another body, another time, no id: 401, and nothing is shipped."""
    settings = settings_of(home)
    await token(settings, None, Scope.ADMIN)  # from now on nobody may anything without one
    async with gate(settings) as here:
        mine, others = (here.rooms.addresses.training_secret(owner) for owner in ("ann", "bob"))
        body = {"source": SOURCE}
        refused = [
            await send(here, body, others, owner="ann"),
            await send(here, body, mine),
            await send(here, body, mine, owner="ann", late=301),
            await send(here, body, mine, owner="ann", late=-301),
            await send(here, body, mine, owner="ann", webhook_id="msg_2"),
            await send(here, body, mine, owner="ann", webhook_timestamp="soon"),
            await send(here, body, mine, owner="ann", webhook_signature="v1,"),
            await send(here, body, mine, owner="ann", webhook_id=""),
        ]
        assert [(got.status_code, got.json()["error"]["code"]) for got in refused] == [
            (401, "signature_invalid")
        ] * len(refused)
        assert (await here.post("/api/trainings", body)).json()["error"]["code"] == "token_invalid"
        assert here.delivered.orders == []


async def test_a_token_that_may_ship_ships_for_its_owner(home: Path) -> None:
    """One that may only generate does not; the owner of a token is not another."""
    settings = settings_of(home)
    ships, asks = await token(settings, "ann", Scope.SHIP), await token(settings, "ann", Scope.GENERATE)
    async with gate(settings, secret=ships) as here:
        assert (await here.post("/api/trainings", {"source": SOURCE, "name": "tok"})).status_code == 202
        store: Any = here.rooms.access
        assert (await store.policy("tok")).owner == "ann"
        assert (
            await here.client.post("/api/trainings?owner=bob", json={"source": SOURCE})
        ).status_code == 403
    async with gate(settings, secret=asks) as here:
        assert (await here.post("/api/trainings", {"source": SOURCE})).status_code == 403
        assert (await here.client.get("/api/training-secret")).status_code == 403
        assert here.delivered.orders == []


async def test_nobody_takes_over_a_model_of_another(home: Path) -> None:
    """The same name, even with the same weights, stays whose it is."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy("bob"))
    async with gate(settings, secret=await token(settings, "ann", Scope.SHIP)) as here:
        got = await here.post("/api/trainings", {"source": SOURCE, "name": "tok"})
        assert got.json()["error"]["code"] == "name_taken"
        assert here.delivered.orders == []
        store: Any = here.rooms.access
        assert (await store.policy("tok")).owner == "bob"


@pytest.mark.parametrize("source", ["/etc/passwd", "../x.safetensors", "./a", "~/a", "a.safetensors"])
async def test_the_files_of_the_server_are_an_admins(home: Path, source: str) -> None:
    """Whoever may only ship names what is far away."""
    settings = settings_of(home)
    async with gate(settings, secret=await token(settings, "ann", Scope.SHIP)) as here:
        got = await here.post("/api/trainings", {"source": source, "name": "tok"})
        assert 400 <= got.status_code < 500
        assert here.delivered.orders == []
    async with gate(settings, secret=await token(settings, None, Scope.ADMIN)) as here:
        assert (await here.post("/api/trainings", {"source": source, "name": "tok"})).status_code == 202


async def test_bad_messages_are_told_whole(home: Path) -> None:
    """All that is wrong at once; what the check refuses comes back as the check tells it."""
    async with gate(settings_of(home)) as here:
        got = await here.post("/api/trainings", {"source": "-x", "base": 3, "more": 1})
        error = got.json()["error"]
        assert (got.status_code, error["code"], len(error["evidence"]["problems"])) == (
            400,
            "body_invalid",
            3,
        )
        finding = Finding("VAL_ZERO_B_ALL", Severity.ERROR, "All are zero.", fix="Train.")
        here.delivered.fails = WeightsRejected(WeightsReport(WeightsSummary(SOURCE, SOURCE, 0), (finding,)))
        got = await here.post("/api/trainings", {"source": SOURCE})
        assert got.json()["error"]["code"] == "weights_rejected"
        assert 400 <= got.status_code < 500
