"""Deliveries as their users call them, with the durable runtime."""

from __future__ import annotations

import asyncio
import inspect
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.delivery import Deliveries
from lorry.delivery.doubles import Fault
from lorry.errors import (
    BaseNotServed,
    HomeBusy,
    KeyRejected,
    ModelNotFound,
    NameInvalid,
    NameTaken,
    NothingToResume,
    ProofNoEffect,
    StorageError,
    Unreachable,
    WeightsRejected,
)
from lorry.model.placement import PlacementState
from lorry.model.report import Finding, Severity
from tests.delivery.conftest import Bench

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
NOTHING = dict.fromkeys(ONE, 0)


async def test_nobody_guesses_where_a_model_was_to_go(bench: Bench) -> None:
    """A model without a placement, as older versions could leave it, is not resumed but asked about."""
    await bench.store.save_model(bench.model)
    async with bench.open() as deliveries:
        with pytest.raises(NothingToResume, match="not where it was to go"):
            await deliveries.resume("tok")
        with pytest.raises(NothingToResume, match="not where it was to go"):
            await deliveries.retry("tok", "upload")


async def test_ship_show_ship_again_retire(bench: Bench) -> None:
    """Shipping ends ready with one of each; again is at once and does nothing; retiring leaves nothing."""
    async with bench.open() as deliveries:
        placement = await deliveries.ship(bench.source, "tok")
        assert placement.state is PlacementState.READY
        assert bench.ground.counts() == ONE
        calls = len(bench.ground.calls)
        assert await deliveries.ship(bench.source, "tok") == placement
        assert bench.ground.calls[calls:] == ["deployments.look"]
        assert (await bench.told())[-1] == "ready state"
        with pytest.raises(NothingToResume):
            await deliveries.resume("tok")
        await deliveries.retire("tok")
        assert bench.ground.counts() == NOTHING
        with pytest.raises(ModelNotFound):
            await deliveries.retire("tok")
        assert (await deliveries.ship(bench.source, "tok")).state is PlacementState.READY


async def test_wrong_usage_creates_nothing(bench: Bench, change: Callable[[bytes], None]) -> None:
    """A bad name, an unknown model and a bad file are told before anything exists anywhere."""
    bad = Finding("VAL_NONFINITE", Severity.ERROR, "3 tensors hold NaN.", "Train again.")
    async with bench.open() as deliveries:
        with pytest.raises(NameInvalid):
            await deliveries.ship(bench.source, "Not A Name")
        with pytest.raises(ModelNotFound):
            await deliveries.resume("tok")
        with pytest.raises(ModelNotFound):
            await deliveries.retire("tok")
        bench.check.findings = (bad,)
        with pytest.raises(WeightsRejected, match="3 tensors hold NaN"):
            await deliveries.ship(bench.source, "tok")
        bench.check.findings, bench.check.base, bench.check.family = (), None, None
        with pytest.raises(WeightsRejected, match="base"):
            await deliveries.ship(bench.source, "tok")
        bench.check.base, bench.check.family = "unheard-of", "icons"
        with pytest.raises(BaseNotServed, match="unheard-of"):
            await deliveries.ship(bench.source, "tok")
        bench.check.base, bench.check.family = None, "flux1"
        with pytest.raises(BaseNotServed, match=r"FLUX\.1"):
            await deliveries.ship(bench.source, "tok")
    assert bench.ground.counts() == NOTHING
    assert await bench.store.models() == ()
    assert await bench.store.read("tok") == ()


async def test_an_absent_platform_leaves_nothing_behind(bench: Bench) -> None:
    """When nobody answers at the first question, no model is remembered and no name is taken."""
    bench.ground.faults.append(Fault("registry.base", Unreachable("Nobody answers.")))
    async with bench.open() as deliveries:
        with pytest.raises(Unreachable):
            await deliveries.ship(bench.source, "tok")
        assert await bench.store.models() == ()
        assert bench.ground.counts() == NOTHING


async def test_what_the_platform_lost_is_brought_there_again(bench: Bench) -> None:
    """Shipping a ready model whose deployment is gone or stopped at the platform delivers it again."""
    async with bench.open() as deliveries:
        first = await deliveries.ship(bench.source, "tok")
        for kind in ONE:
            bench.ground.things[kind].clear()
        second = await deliveries.ship(bench.source, "tok")
        assert (second.state, bench.ground.counts()) == (PlacementState.READY, ONE)
        assert second.ids.deployment != first.ids.deployment
        bench.ground.things["deployments"][second.ids.deployment].update(aim="stop", looks=9)
        third = await deliveries.ship(bench.source, "tok")
        assert (third.state, bench.ground.counts()) == (PlacementState.READY, ONE)


async def test_who_listens_hears_a_check_that_fails(bench: Bench) -> None:
    """A rejected file is told to the listener as a failed check, though nothing is written anywhere."""
    bench.check.base = bench.check.family = None
    async with bench.open() as deliveries:
        with pytest.raises(WeightsRejected):
            await deliveries.ship(bench.source, "tok")
    assert [(event.subject, event.action) for event in bench.heard] == [
        ("check", "started"),
        ("check", "failed"),
    ]
    assert await bench.store.read("tok") == ()


async def test_a_name_keeps_its_weights(bench: Bench, change: Callable[[bytes], None]) -> None:
    """Other weights under a taken name are refused, and the model stays as it is."""
    async with bench.open() as deliveries:
        placement = await deliveries.ship(bench.source, "tok")
        change(b"other weights")
        with pytest.raises(NameTaken, match="other weights"):
            await deliveries.ship(bench.source, "tok")
        assert await bench.placement() == placement
        assert bench.ground.counts() == ONE


async def test_a_failed_delivery_raises_and_is_taken_up(bench: Bench) -> None:
    """The same typed error comes from every way in until the cause is gone; then it finishes."""
    bench.ground.effect = 0
    async with bench.open() as deliveries:
        with pytest.raises(ProofNoEffect) as shipped:
            await deliveries.ship(bench.source, "tok")
        assert (await bench.placement()).error == shipped.value.as_dict()
        with pytest.raises(ProofNoEffect) as resumed:
            await deliveries.resume("tok")
        assert resumed.value.as_dict() == shipped.value.as_dict()
        bench.ground.effect = 40
        assert (await deliveries.resume("tok")).state is PlacementState.READY
        assert bench.ground.counts() == ONE


async def test_two_calls_for_one_model_are_one_delivery(bench: Bench) -> None:
    """Shipping the same file under the same name twice at once is one delivery with two listeners."""
    async with bench.open() as deliveries:
        first, second = await asyncio.gather(
            deliveries.ship(bench.source, "tok"), deliveries.ship(bench.source, "tok")
        )
    assert first == second
    assert bench.ground.counts() == ONE
    assert (await bench.told("started")).count("publish started") == 1


async def test_a_retire_that_failed_blocks_the_name(bench: Bench) -> None:
    """While a model is being removed its name is taken; retiring again finishes, also in a new process."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
        bench.ground.faults.append(Fault("endpoints.delete", KeyRejected("The key was revoked.")))
        with pytest.raises(KeyRejected):
            await deliveries.retire("tok")
        with pytest.raises(NameTaken, match="being removed"):
            await deliveries.ship(bench.source, "tok")
        with pytest.raises(NothingToResume, match="being removed"):
            await deliveries.resume("tok")
    async with bench.open() as deliveries:
        await deliveries.retire("tok")
    assert bench.ground.counts() == NOTHING


async def test_one_process_has_one_runtime(bench: Bench, tmp_path: Path) -> None:
    """A second opening in one process is refused, of the same home or another; then both are free."""
    async with bench.open():
        with pytest.raises(HomeBusy, match="one home at a time"):
            async with bench.open():
                pass
        with pytest.raises(HomeBusy, match="one home at a time"):
            async with bench.open(tmp_path / "other"):
                pass
    async with bench.open(tmp_path / "other"):
        pass


async def test_a_damaged_durable_file_is_named(bench: Bench) -> None:
    """Something else in the durable file's place is an error that names it; moved away, all goes on."""
    damaged = bench.home / "deliveries.sqlite"
    damaged.write_bytes(b"<html>" * 1000)
    with pytest.raises(StorageError, match=r"deliveries\.sqlite is damaged") as caught:
        async with bench.open():
            pass
    assert "Move the file away" in caught.value.fix
    damaged.unlink()
    async with bench.open() as deliveries:
        assert (await deliveries.ship(bench.source, "tok")).state is PlacementState.READY


async def test_the_runtime_says_nothing_at_the_terminal(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither opening, nor a failure, nor closing writes to standard output or error."""
    bench.ground.effect = 0
    async with bench.open() as deliveries:
        with pytest.raises(ProofNoEffect):
            await deliveries.ship(bench.source, "tok")
    assert capfd.readouterr() == ("", "")


async def test_everything_durable_is_json(bench: Bench) -> None:
    """Nothing in the durable file is a pickle: every value parses as JSON."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
    connection = sqlite3.connect(bench.home / "deliveries.sqlite")
    queries = (
        "select inputs from workflow_input",
        "select output from workflow_output",
        "select output from operation_outputs",
    )
    values = [value for query in queries for (value,) in connection.execute(query)]
    assert connection.execute("select distinct application_version from workflow_status").fetchall() == [
        ("lorry-2",)
    ]
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()
    kept = [value for value in values if value is not None]
    assert len(kept) > 10
    for value in kept:
        json.loads(value)


async def test_threads_still_work_after_closing(bench: Bench) -> None:
    """The loop's own threads outlive the runtime: what runs after it can still use them."""
    async with bench.open():
        pass
    assert await asyncio.to_thread(lambda: 7) == 7


def test_the_door_is_all_a_caller_needs() -> None:
    """A delivery room's front has the service; its constructor takes every part by name."""
    parameters = inspect.signature(Deliveries).parameters.values()
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)


async def test_what_the_platform_stopped_is_brought_back(bench: Bench) -> None:
    """A ready model whose deployment was stopped by the platform is resumed: it answers again, once."""
    async with bench.open() as deliveries:
        await deliveries.ship(bench.source, "tok")
        (row,) = bench.ground.things["deployments"].values()
        row.update(aim="stop", looks=9)
        assert (await deliveries.resume("tok")).state is PlacementState.READY
    assert [row["aim"] for row in bench.ground.things["deployments"].values()] == ["run"]
    assert bench.ground.counts()["endpoints"] == 1
