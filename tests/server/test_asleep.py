"""Asleep is not an error: a request starts its model, and its caller chooses how to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lorry.errors import DeploymentFailed
from lorry.generation.gateway.waking import Seen, Waker
from lorry.model.serving import Place, Policy
from lorry.settings import Settings
from tests.server.ground import Gate, Says, gate, picture, place, refusal, settings_of


class Bed:
    """A place that sleeps until it was started and looked at often enough."""

    def __init__(self, here: Gate, looks: int = 3, seconds: float = 20.0) -> None:
        self.here, self.looks, self.seconds = here, looks, seconds
        self.started = 0
        self.asleep = True
        self.fails = False
        self._left = looks

    async def start(self, _place: Place) -> None:
        """Begin to wake."""
        self.started += 1
        self._left = self.looks

    async def look(self, _place: Place) -> Seen:
        """Be a bit more awake with each look."""
        if self.fails:
            return Seen(False, "loading", failed=DeploymentFailed("It can't be started."))
        self._left -= 1
        self.asleep = self._left > 0
        return Seen(not self.asleep, "answering" if not self.asleep else "loading")

    async def rest(self, _seconds: float) -> None:
        """Let the gateway's time pass."""
        self.here.pass_time(self.seconds)
        await asyncio.sleep(0)

    def answer(self, sent: object) -> Says:
        """Draw when awake."""
        if self.asleep:
            return refusal(400, "dedicated_endpoint_not_running", "The endpoint is not running")
        return picture(sent)  # type: ignore[arg-type]


@asynccontextmanager
async def sleeping(settings: Settings, looks: int = 3) -> AsyncIterator[tuple[Gate, Bed]]:
    """Open a gateway whose places are asleep."""
    async with gate(settings) as here:
        bed = Bed(here, looks)
        waker = here.rooms.waker
        waker._sleeper, waker._rest = bed, bed.rest
        here.places.answer = bed.answer
        yield here, bed


async def test_clients_that_say_nothing_are_held(home: Path) -> None:
    """An unmodified client gets its picture: the model is started once for all who ask."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings) as (here, bed):
        answers = await asyncio.gather(*(here.images() for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        assert bed.started == 1


async def test_our_own_form_is_accepted_and_carried_out(home: Path) -> None:
    """202 with where to look; the result is there once the model is awake; the next hears how long."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings) as (here, bed):
        got = await here.generate(headers={"idempotency-key": "k"})
        told = got.json()
        assert (got.status_code, told["state"]) == (202, "waiting")
        assert got.headers["location"] == told["status_url"]
        status = await ended(here, told["status_url"])
        assert (status["state"], status["result"]["pictures"][0]["seed"]) == ("done", 7)
        assert (await here.generate(headers={"idempotency-key": "k"})).status_code == 200
        assert bed.started == 1
        bed.asleep = True
        told = (await here.generate(seed=8)).json()
        expected = told["note"]["starting"]["expected"]
        assert expected["samples"] == 1
        assert expected["p50"] == expected["p90"] > 0
        assert set(expected["stages"]) <= {"accepted", "loading", "answering"}


async def ended(here: Gate, url: str) -> dict[str, Any]:
    """Look at a generation until it has ended."""
    for _ in range(2000):
        status: dict[str, Any] = (await here.client.get(url)).json()
        if status["state"] in ("done", "failed", "canceled"):
            return status
        await asyncio.sleep(0.01)
    raise AssertionError(status)


async def test_a_caller_may_say_how_long_it_waits(home: Path) -> None:
    """`Prefer: wait=N` holds in our own form; `respond-async` is answered 202 in the compatible one."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings) as (here, bed):
        assert (await here.generate(headers={"prefer": "wait=60"})).status_code == 200
        bed.asleep = True
        body = {"model": "tok", "prompt": "x", "response_format": "base64"}
        got = await here.post("/v1/images/generations", body, prefer="respond-async")
        assert got.status_code == 202
        status = await ended(here, got.headers["location"])
        assert status["result"]["data"][0]["type"] == "b64_json"


async def test_who_does_not_wait_is_told_when_to_come_again(home: Path) -> None:
    """A compatible client with `wait=0` gets 503 and `Retry-After`; nothing was sent twice."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings, looks=10_000) as (here, _bed):
        here.rooms.waker._rest = asyncio.sleep
        got = await here.client.post(
            "/v1/images/generations",
            json={"model": "tok", "prompt": "x", "response_format": "base64"},
            headers={"prefer": "wait=0"},
        )
        assert (got.status_code, got.json()["error"]["code"]) == (503, "model_starting")
        assert int(got.headers["retry-after"]) >= 1
        assert got.headers["x-should-retry"] == "true"


@pytest.mark.parametrize(
    ("asleep", "status", "started"), [("fallback", 200, 1), ("refuse", 503, 0), ("hold", 200, 1)]
)
async def test_the_policy_says_what_a_request_does(
    home: Path, asleep: str, status: int, started: int
) -> None:
    """Ask another place meanwhile, refuse without starting it, or hold."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(also=("spare",), asleep=asleep))
    await place(settings, "spare")
    async with sleeping(settings) as (here, bed):
        here.places.answer = lambda sent: picture(sent) if "spare" in sent.body["model"] else bed.answer(sent)
        got = await here.generate()
        assert (got.status_code, bed.started) == (status, started)
        if asleep == "fallback":
            assert got.headers["x-lorry-place"] == "spare"


async def test_a_place_that_cannot_be_started_says_why(home: Path) -> None:
    """Whoever waits hears the platform's reason; whoever was accepted finds it at the address."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings) as (here, bed):
        bed.fails = True
        assert (await here.images()).json()["error"]["code"] == "deployment_failed"
        told = (await here.generate()).json()
        status = await ended(here, told["status_url"])
        assert status["error"]["code"] == "deployment_failed"


async def test_a_start_is_asked_for_over_http(home: Path) -> None:
    """Once for many who ask."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with sleeping(settings) as (here, bed):
        for _ in range(3):
            assert (await here.client.post("/api/models/tok/start")).status_code == 202
        start = here.rooms.waker.under_way["tok"]
        assert start.task is not None
        await start.task
        assert bed.started == 1
        assert isinstance(here.rooms.waker, Waker)
