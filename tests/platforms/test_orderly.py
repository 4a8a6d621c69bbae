"""The HTTP client that waits for its turn: every request of it, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from lorry.errors import RateLimited
from lorry.platforms.together import connect
from lorry.platforms.together.orderly import OrderlyClient
from lorry.platforms.together.turns import AMPLE, Limits, Turns, turns_of
from tests.platforms.stand_in import KEY, StandIn
from tests.platforms.test_turns import HandClock, settled


def client(turns: Turns, answer: httpx.Response | Exception) -> OrderlyClient:
    """Make a client that is always answered the same."""

    def answered(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return OrderlyClient(turns, transport=httpx.MockTransport(answered))


def turns(limits: Limits = AMPLE) -> Turns:
    """Make turns with a clock that stands."""
    return Turns(limits, HandClock())


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_turn_ends_with_its_answer(status: int) -> None:
    """Whatever the answer is, the place is free afterwards."""
    taken = turns()
    async with client(taken, httpx.Response(status, json={})) as http:
        assert (await http.get("https://one.example/")).status_code == status
    assert taken.inside == 0


async def test_a_turn_ends_with_its_fault() -> None:
    """A connection that is not made keeps no place."""
    taken = turns()
    async with client(taken, httpx.ConnectError("nobody")) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("https://one.example/")
    assert taken.inside == 0


async def test_a_stream_keeps_its_turn_until_it_is_closed() -> None:
    """An answer that comes piece by piece is under way until its end, or until it is left."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    taken = turns()
    async with client(taken, httpx.Response(200, content=pieces())) as http:
        async with http.stream("GET", "https://one.example/") as answer:
            assert taken.inside == 1
            assert await answer.aread() == b"onetwo"
            assert taken.inside == 0
        assert taken.inside == 0
    async with client(taken, httpx.Response(200, content=pieces())) as http:
        async with http.stream("GET", "https://one.example/"):
            assert taken.inside == 1
        assert taken.inside == 0


async def test_waiting_costs_no_time_of_the_request() -> None:
    """Somebody who waits for a turn longer than a request may take is answered all the same."""
    clock = HandClock()
    slow = Turns(Limits(at_once=1, per_second=0.001, burst=1), clock)
    async with client(slow, httpx.Response(200, json={})) as http:
        await http.get("https://one.example/")
        second = asyncio.create_task(http.get("https://one.example/", timeout=0.001))
        await clock.pass_by(999)
        assert not second.done()
        await clock.pass_by(2)
        assert (await second).status_code == 200


@pytest.mark.parametrize(
    ("headers", "rest"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500"}, 1.5), ({}, 0.0)],
)
async def test_too_many_requests_holds_up_all(headers: dict[str, str], rest: float) -> None:
    """An answer 429 makes every other request of the address wait as long as it says."""
    clock = HandClock()
    shared = Turns(AMPLE, clock)
    async with client(shared, httpx.Response(429, headers=headers, json={})) as told:
        await told.get("https://one.example/")
    async with client(shared, httpx.Response(200, json={})) as other:
        waiting = asyncio.create_task(other.get("https://one.example/"))
        await settled()
        assert waiting.done() == (rest == 0)
        await clock.pass_by(rest + 0.001)
        assert (await waiting).status_code == 200


async def test_every_request_of_a_connection_takes_a_turn(server: StandIn) -> None:
    """What a platform is asked goes through the turns of its address; while one is out, none is sent."""
    async with connect(server.url, KEY) as platform:
        await platform.registry.find("tok")
        sent = len(server.seen)
        shared = turns_of(server.url, KEY, AMPLE)
        for _ in range(AMPLE.at_once):
            await shared.take()
        asking = asyncio.create_task(platform.endpoints.find("tok"))
        await settled()
        assert not asking.done()
        assert len(server.seen) == sent
        shared.give_back()
        assert await asking is None
        assert len(server.seen) == sent + 1


async def test_a_refusal_for_the_rate_is_told_and_keeps_no_turn(server: StandIn) -> None:
    """Who ran into it learns it as RateLimited, once: it is the delivery that tries again."""
    async with connect(server.url, KEY, project="proj_1") as platform:
        server.instead.append(("/v2/", 429, b'{"code": 8, "message": "slow down"}', "application/json"))
        with pytest.raises(RateLimited):
            await platform.endpoints.find("tok")
        assert turns_of(server.url, KEY, AMPLE).inside == 0
        assert len(server.seen) == 1
