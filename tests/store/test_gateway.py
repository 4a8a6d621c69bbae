"""What the gateway remembers: the same laws on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorry.generation.gateway.minting import mint
from lorry.model.kept import Came, Generated, Hook, LedgerRow, State
from lorry.model.serving import Policy, Scope
from lorry.store import Store, open_store

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LONG, OVER = 3600.0, -1.0


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Store]:
    """Give each kind of database."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as opened:
        yield opened


def row(name: str, *, key: str | None = None, owner: str | None = None, queued: bool = True) -> Generated:
    """Give a request."""
    state = State.WAITING if queued else State.RUNNING
    return Generated(
        name, owner, None, key, "f" * 64, "tok", "generate", "{}", queued, state, NOW, webhook=None
    )


def paid(name: str, outcome: Came = Came.OK, cents: float = 1.5, at: datetime = NOW) -> LedgerRow:
    """Give a row of the ledger."""
    return LedgerRow(
        name,
        name.rpartition("-")[0],
        at,
        "tok_1",
        "ann",
        "tok",
        "tok",
        "together-url",
        False,
        "images",
        outcome,
        cents=cents,
    )


async def test_a_key_belongs_to_one_request_of_an_owner(store: Store) -> None:
    """The first has it; the next is given the first; another owner has keys of its own; none has none."""
    assert await store.kept.begin(row("a", key="k", owner="ann")) is None
    there = await store.kept.begin(row("b", key="k", owner="ann"))
    assert there is not None
    assert there.id == "a"
    assert await store.kept.find("b") is None
    assert await store.kept.begin(row("c", key="k", owner="ben")) is None
    assert await store.kept.begin(row("d", key="k")) is None
    for name in ("e", "f"):
        assert await store.kept.begin(row(name)) is None
    await store.kept.drop("a")
    assert await store.kept.begin(row("b", key="k", owner="ann")) is None


async def test_a_waiting_request_is_begun_by_one(store: Store) -> None:
    """Oldest first; begun once; what its worker lets go of is found and may be begun again."""
    for number, name in enumerate(("b", "a")):
        await store.kept.begin(replace(row(name), created_at=NOW + timedelta(seconds=number)))
    assert [found.id for found in await store.kept.waiting(9)] == ["b", "a"]
    assert await store.kept.claim("b", "w1", LONG, NOW)
    assert not await store.kept.claim("b", "w2", LONG, NOW)
    assert await store.kept.running() == [(None, "tok")]
    assert await store.kept.lost() == []
    await store.kept.renew("w1", OVER)
    assert [found.id for found in await store.kept.lost()] == ["b"]
    await store.kept.requeue("b")
    assert await store.kept.counts() == {"waiting": 2}
    assert await store.kept.cancel("b", NOW)
    assert not await store.kept.cancel("b", NOW)


async def test_an_end_is_written_with_its_cost_and_its_message(store: Store) -> None:
    """In one transaction: answer, ledger and webhook; forgotten when it is old enough."""
    await store.kept.begin(row("a", queued=False), LONG)
    await store.ledger.write([paid("a-1", Came.SENT)])
    assert await store.kept.was_sent("a")
    hook = Hook("msg_a", "ann", "https://app.example", "{}")
    await store.kept.end("a", State.DONE, NOW, answer={"x": 1}, ledger=[paid("a-1")], hook=hook)
    found = await store.kept.find("a")
    assert found is not None
    assert (found.state, found.answer, found.ended_at) == (State.DONE, {"x": 1}, NOW)
    assert not await store.kept.was_sent("a")
    assert [(each["outcome"], each["cents"]) for each in await store.ledger.rows("a")] == [("ok", 1.5)]
    assert await store.hooks.due(9) == [hook]
    assert await store.hooks.due(9) == []
    assert await store.kept.forget(NOW) == 0
    assert await store.kept.forget(NOW + timedelta(seconds=1)) == 1


async def test_the_ledger_adds_up(store: Store) -> None:
    """By day, token, model and rehearsal; what was sent long ago and never ended is of unknown outcome."""
    day = timedelta(days=1)
    rows = [paid("a-1"), paid("b-1", cents=2.0), paid("c-1", at=NOW - day), paid("d-1", cents=0.0)]
    await store.ledger.write(rows)
    await store.ledger.write(rows)  # the same again changes nothing
    assert await store.ledger.count() == 4
    spent = {each["day"]: each["cents"] for each in await store.ledger.spent(NOW - day)}
    assert spent == {"2026-11-29": 3.5, "2026-11-28": 1.5}
    await store.ledger.write([paid("e-1", Came.SENT, at=NOW - day), paid("f-1", Came.SENT)])
    await store.ledger.settle(NOW - timedelta(hours=1))
    outcomes = {each["id"]: each["outcome"] for each in await store.ledger.newest(9)}
    assert (outcomes["e-1"], outcomes["f-1"]) == ("unknown", "sent")


async def test_tokens_and_policies_come_back_as_they_were(store: Store) -> None:
    """And every change of them changes the mark that the gateway looks at."""
    marks = [await store.mark()]
    secret, token = mint(
        "ann", frozenset({Scope.GENERATE}), NOW, models=frozenset({"tok"}), per_second=2.5, day_cents=9.0
    )
    await store.add_token(token)
    assert await store.tokens() == (token,)
    assert secret not in str(await store.tokens())
    marks.append(await store.mark())
    assert await store.revoke(token.id)
    assert not await store.revoke(token.id)
    marks.append(await store.mark())
    policy = Policy("ann", also=("b",), day_cents=1.0)
    await store.set_policy("tok", policy)
    assert (await store.policy("tok"), await store.policies()) == (policy, {"tok": policy})
    marks.append(await store.mark())
    assert len(set(marks)) == len(marks)


async def test_who_is_called_off_leaves_no_transaction_behind(store: Store) -> None:
    """Called off anywhere in it, even twice: it has ended when its caller has, and what it wrote stands."""
    for turns in range(12):
        work = asyncio.create_task(store.set_policy(f"model-{turns}", Policy("ann")))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.sleep(0)
        work.cancel()
        done = await asyncio.gather(work, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await store.policy(f"model-{turns}")).owner == "ann"


async def test_outages_and_starts_are_remembered(store: Store) -> None:
    """Until a person mends them; starts newest first, of one route and kind."""
    await store.outages.hold("acc", "key_rejected", "no")
    await store.outages.hold("acc", "out_of_credit", "no credit")
    assert await store.outages.held() == {"acc": "no credit"}
    await store.outages.mended(["acc"])
    assert await store.outages.held() == {}
    await store.starts.took("tok", "local", rehearsal=False, stages={"loading": 2.0, "all": 3.0})
    await store.starts.took("cat", "local", rehearsal=True, stages={"all": 9.0})
    assert await store.starts.known("local", rehearsal=False) == [
        ("tok", "all", 3.0),
        ("tok", "loading", 2.0),
    ]
