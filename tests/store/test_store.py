"""The store keeps what it was given; the in-memory double keeps the same laws."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorry.delivery.doubles import MemoryStore
from lorry.model.events import Event
from lorry.model.placement import Placement, PlacementState, Proof, ProviderIds, TrainedModel
from lorry.store import Store, open_store

AT = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)
MODEL = TrainedModel("tok", "/data/tok.safetensors", "ab" * 32, "icons", "lorry/icons", "TOK", 57, AT)
PROOF = Proof("a picture of TOK", 1, 1.0, 40.25, 0.5, 2.0, True, "/p/without.png", "/p/with.png")
PLACEMENT = Placement(
    "tok", "local", PlacementState.READY, "ready", ProviderIds(model="ml_1", endpoint="ep_2"), PROOF, None, AT
)
EVENT = Event("tok", "delivery", "upload", "done", "2 files.", AT, 1.25, {"bytes": 7, "names": ["ü", None]})

Either = Store | MemoryStore


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def store(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Either]:
    """Give each implementation of the three ports."""
    if request.param == "memory":
        yield MemoryStore()
        return
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(home, database) as opened:
        yield opened


async def test_a_model_comes_back_as_it_was(store: Either) -> None:
    """What was saved last is read, field by field; other names know nothing of it."""
    await store.save_model(replace(MODEL, trigger=None))
    await store.save_model(MODEL)
    assert await store.model("tok") == MODEL
    assert await store.model("other") is None


async def test_models_come_by_name(store: Either) -> None:
    """All models are listed in the order of their names."""
    for name in ("tok", "abc", "zebra"):
        await store.save_model(replace(MODEL, name=name))
    assert [model.name for model in await store.models()] == ["abc", "tok", "zebra"]


@pytest.mark.parametrize(
    "placement",
    [
        PLACEMENT,
        replace(
            PLACEMENT, proof=None, state=PlacementState.FAILED, error={"code": "x", "evidence": {"a": [1]}}
        ),
        replace(PLACEMENT, ids=ProviderIds(), step=None, state=PlacementState.DELIVERING),
    ],
)
async def test_a_placement_comes_back_as_it_was(store: Either, placement: Placement) -> None:
    """What was saved last is read, with its proof, ids and error."""
    await store.save_placement(replace(PLACEMENT, route="elsewhere"))
    await store.save_placement(placement)
    assert await store.placement("tok") == placement
    assert await store.placement("other") is None


async def test_a_model_is_written_with_where_it_is_to_go(store: Either) -> None:
    """Both are there, and replace what was there."""
    await store.save_model(replace(MODEL, trigger=None), replace(PLACEMENT, route="elsewhere"))
    await store.save_model(MODEL, PLACEMENT)
    assert await store.model("tok") == MODEL
    assert await store.placement("tok") == PLACEMENT


async def test_forgetting_keeps_the_journal(store: Either) -> None:
    """A forgotten model is gone with its placement; its events and other models stay."""
    await store.save_model(MODEL)
    await store.save_model(replace(MODEL, name="other"))
    await store.save_placement(PLACEMENT)
    await store.write(EVENT)
    await store.forget("tok")
    assert await store.model("tok") is None
    assert await store.placement("tok") is None
    assert len(await store.read("tok")) == 1
    assert [model.name for model in await store.models()] == ["other"]


async def test_the_journal_keeps_order_and_models_apart(store: Either) -> None:
    """Events are read in the order of writing, with growing ids, one model at a time, after a position."""
    for number in range(4):
        await store.write(replace(EVENT, message=str(number), at=AT - timedelta(seconds=number)))
        await store.write(replace(EVENT, model="other"))
    events = await store.read("tok")
    assert [event.message for event in events] == ["0", "1", "2", "3"]
    assert sorted({event.id for event in events}) == [event.id for event in events]
    assert replace(events[0], id=0) == replace(EVENT, message="0")
    assert await store.read("tok", events[1].id) == events[2:]
    assert await store.read("tok", events[-1].id) == ()


async def test_intents_are_opened_closed_and_dropped(store: Either) -> None:
    """Opening again forgets an old result; closing notes one; a prefix is meant literally."""
    for key in ("a_b/model", "a_b/endpoint", "axb/model"):
        await store.open(key, {"name": key})
    await store.close("a_b/model", {"id": "ml_1"})
    assert (await store.all("a_b/model"))["a_b/model"] == {
        "what": {"name": "a_b/model"},
        "result": {"id": "ml_1"},
    }
    await store.open("a_b/model", {"name": "again"})
    assert (await store.all("a_b/model"))["a_b/model"] == {"what": {"name": "again"}, "result": None}
    await store.close("never/opened", {"id": "x"})
    await store.drop("a_b/")
    assert list(await store.all("")) == ["axb/model"]


async def test_a_reopened_store_knows_everything(home: Path) -> None:
    """What was written is there after the file was closed and opened again."""
    async with open_store(home) as first:
        await first.save_model(MODEL)
        await first.save_placement(PLACEMENT)
        await first.write(EVENT)
        await first.open("k", {"a": 1})
    async with open_store(home) as second:
        assert await second.model("tok") == MODEL
        assert await second.placement("tok") == PLACEMENT
        assert [replace(event, id=0) for event in await second.read("tok")] == [EVENT]
        assert await second.all("") == {"k": {"what": {"a": 1}, "result": None}}


async def test_steps_of_all_models_are_read_together(store: Either) -> None:
    """What began, adopted, ended and resumed steps of any model comes in order, and nothing else."""
    told = [("upload", action) for action in ("started", "progress", "adopted", "state", "done", "failed")]
    for place, (subject, action) in enumerate([*told, ("resume", "state")]):
        await store.write(replace(EVENT, model=f"m{place % 2}", subject=subject, action=action, data={}))
    assert [(event.subject, event.action) for event in await store.read_steps()] == [
        *(("upload", action) for action in ("started", "adopted", "done", "failed")),
        ("resume", "state"),
    ]
