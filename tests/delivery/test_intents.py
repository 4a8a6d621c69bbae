"""A thing is created exactly once, whatever a call did before its answer was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lorry.delivery.doubles import Fault, Ground, MemoryStore
from lorry.delivery.doubles.serving import MemoryEndpoints
from lorry.delivery.intents import Change, Creation, change_once, create_once, digest_of_arguments
from lorry.delivery.ports import HostedEndpoint
from lorry.errors import (
    AnswerLost,
    Conflict,
    KeyRejected,
    NotThere,
    PlatformError,
    PlatformFault,
    Unreachable,
)


class Notes:
    """Collects what the journal is told."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    async def __call__(self, action: str, _message: str, _data: Mapping[str, Any]) -> None:
        """Take a note."""
        self.actions.append(action)


def _creation(ground: Ground, *, ours: bool = True) -> Creation[HostedEndpoint]:
    endpoints = MemoryEndpoints(ground)

    async def says(_: HostedEndpoint) -> bool:
        return ours

    return Creation(
        key="tok/aa/endpoint",
        kind="endpoint",
        name="lorry-tok-aa",
        what={"name": "lorry-tok-aa"},
        find=lambda: endpoints.find("lorry-tok-aa"),
        create=lambda: endpoints.create("lorry-tok-aa"),
        ours=says,
        id_of=lambda found: found.id,
    )


async def test_the_intent_is_written_before_anything_is_asked() -> None:
    """Even the first look finds the intent on record, and its result is noted at the end."""
    ground, store, notes = (
        Ground(faults=[Fault("endpoints.find", KeyRejected("No."))]),
        MemoryStore(),
        Notes(),
    )
    with pytest.raises(KeyRejected):
        await create_once(_creation(ground), store, notes)
    written = (await store.all(""))["tok/aa/endpoint"]
    what = {"name": "lorry-tok-aa"}
    assert written == {"what": {**what, "digest": digest_of_arguments(what)}, "result": None}
    made = await create_once(_creation(ground), store, notes)
    result = (await store.all(""))["tok/aa/endpoint"]["result"]
    assert result == {"id": made.id, "name": "lorry-tok-aa", "action": "created"}
    assert notes.actions == ["intended", "created"]


async def test_what_is_there_is_adopted() -> None:
    """A second run finds the first one's thing and sends no create."""
    ground, store, notes = Ground(), MemoryStore(), Notes()
    first = await create_once(_creation(ground), store, notes)
    assert await create_once(_creation(ground), store, notes) == first
    assert ground.calls.count("endpoints.create") == 1
    assert notes.actions[-1] == "adopted"


@pytest.mark.parametrize("error", [AnswerLost("Lost."), PlatformFault("502."), Conflict("Exists already.")])
async def test_a_doubt_is_settled_by_looking(error: PlatformError) -> None:
    """When the call acted and its answer did not come (or says 409), the thing is found and adopted."""
    ground = Ground(faults=[Fault("endpoints.create", error, acts=True)])
    made = await create_once(_creation(ground), MemoryStore(), Notes())
    assert ground.counts()["endpoints"] == 1
    assert made.id in ground.things["endpoints"]
    assert ground.calls.count("endpoints.create") == 1


@pytest.mark.parametrize(
    "error", [AnswerLost("Lost."), PlatformFault("502."), Unreachable("No."), Conflict("No.")]
)
async def test_a_create_is_never_repeated_by_itself(error: PlatformError) -> None:
    """When the call did not act, the error goes up: whoever tries again looks first."""
    ground = Ground(faults=[Fault("endpoints.create", error)])
    with pytest.raises(type(error)):
        await create_once(_creation(ground), MemoryStore(), Notes())
    assert ground.calls.count("endpoints.create") == 1
    assert ground.counts()["endpoints"] == 0


async def test_a_stranger_s_thing_is_never_touched() -> None:
    """Something of our name that isn't ours is a conflict, and nothing is created beside it."""
    ground = Ground()
    await MemoryEndpoints(ground).create("lorry-tok-aa")
    before = dict(ground.things["endpoints"])
    with pytest.raises(Conflict, match="isn't Lorry's"):
        await create_once(_creation(ground, ours=False), MemoryStore(), Notes())
    assert ground.things["endpoints"] == before


def _change(ground: Ground, endpoint: str) -> Change:
    endpoints = MemoryEndpoints(ground)

    async def gone() -> bool:
        return await endpoints.find("lorry-tok-aa") is None

    return Change(
        key="tok/aa/delete",
        kind="deletion of the endpoint",
        name="lorry-tok-aa",
        what={"endpoint": endpoint},
        there=gone,
        act=lambda: endpoints.delete(endpoint),
    )


async def test_what_is_so_already_is_not_asked_for() -> None:
    """A change is sent once; the second time nothing is sent, and the intent says why."""
    ground, store = Ground(), MemoryStore()
    made = await create_once(_creation(ground), store, Notes())
    assert await change_once(_change(ground, made.id), store)
    assert not await change_once(_change(ground, made.id), store)
    assert ground.calls.count("endpoints.delete") == 1
    assert (await store.all("tok/aa/delete"))["tok/aa/delete"]["result"]["action"] == "there"


@pytest.mark.parametrize(
    "error", [AnswerLost("Lost."), PlatformFault("502."), Conflict("Changed."), NotThere("Gone.")]
)
async def test_a_doubt_about_a_change_is_settled_by_looking(error: PlatformError) -> None:
    """When the call acted and its answer did not come, it counts as done."""
    ground, store = Ground(faults=[Fault("endpoints.delete", error, acts=True)]), MemoryStore()
    made = await create_once(_creation(ground), store, Notes())
    assert await change_once(_change(ground, made.id), store)
    assert ground.counts()["endpoints"] == 0
    assert (await store.all("tok/aa/delete"))["tok/aa/delete"]["result"]["action"] == "found done"


@pytest.mark.parametrize("error", [AnswerLost("Lost."), Conflict("Changed."), Unreachable("Down.")])
async def test_a_change_that_did_not_act_is_an_error_and_stays_open(error: PlatformError) -> None:
    """The next attempt looks again and sends it."""
    ground, store = Ground(faults=[Fault("endpoints.delete", error)]), MemoryStore()
    made = await create_once(_creation(ground), store, Notes())
    with pytest.raises(type(error)):
        await change_once(_change(ground, made.id), store)
    assert (await store.all("tok/aa/delete"))["tok/aa/delete"]["result"] is None
    assert await change_once(_change(ground, made.id), store)
    assert ground.counts()["endpoints"] == 0
