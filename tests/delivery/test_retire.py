"""Retiring over the doubles, without the durable runtime."""

from __future__ import annotations

import pytest

from lorry.delivery.doubles import Fault
from lorry.errors import (
    AnswerLost,
    Conflict,
    KeyRejected,
    PlatformError,
    PlatformFault,
    ProofNoEffect,
    Unreachable,
)
from lorry.model.names import provider_name
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench

STEPS = ["unroute", "stop", "stopped", "deployment", "endpoint", "model", "repository", "forget"]
NOTHING = dict.fromkeys(("models", "revisions", "endpoints", "deployments", "repos"), 0)
CALLS = [
    *("endpoints.find", "endpoints.route", "endpoints.delete", "registry.find", "registry.delete"),
    *("deployments.list", "deployments.stop", "deployments.delete", "publisher.withdraw"),
]


async def _retired(bench: Bench) -> bool:
    left = (await bench.store.models(), await bench.store.placement("tok"), await bench.store.all("tok/"))
    return bench.ground.counts() == NOTHING and left == ((), None, {})


async def test_nothing_is_left(bench: Bench) -> None:
    """Platform, Hub, records, intents and proofs are empty; the journal tells every step and stays."""
    await bench.walk()
    assert await bench.retire() is None
    assert await _retired(bench)
    assert not list((bench.home / "proofs").iterdir())
    events = [event for event in await bench.store.read("tok") if event.source == "retire"]
    assert [event.subject for event in events if event.action == "done"] == STEPS
    assert events[-1].message == "tok was retired."


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize(("error", "acts"), [(AnswerLost("Lost."), True), (PlatformFault("502."), False)])
async def test_a_fault_that_passes_leaves_nothing(
    bench: Bench, verb: str, error: PlatformError, acts: bool
) -> None:
    """Whatever call meets a passing fault, before or after it acted: nothing is left."""
    await bench.walk()
    bench.ground.faults.append(Fault(verb, error, acts=acts))
    assert await bench.retire() is None
    assert await _retired(bench)


@pytest.mark.parametrize("verb", CALLS)
async def test_a_lasting_fault_leaves_it_retiring(bench: Bench, verb: str) -> None:
    """An unreachable platform leaves the model in retiring, with the error; the next run finishes."""
    await bench.walk()
    bench.ground.faults.append(Fault(verb, Unreachable("Nobody answers."), times=bench.policy.tries))
    error = await bench.retire()
    assert error is not None
    assert error["code"] == "platform_unreachable"
    placement = await bench.placement()
    assert placement.state is PlacementState.RETIRING
    assert placement.error == error
    assert await bench.retire() is None
    assert await _retired(bench)


@pytest.mark.parametrize(
    "verb",
    ["publisher.publish", "registry.create", "registry.upload", "endpoints.create", "deployments.create"],
)
async def test_a_delivery_that_lost_an_answer_leaves_nothing(bench: Bench, verb: str) -> None:
    """What a failed delivery created without ever learning its id is found by name and removed too."""
    bench.ground.faults.append(Fault(verb, AnswerLost("Lost."), acts=True))
    bench.ground.faults.append(Fault(verb.replace("create", "find"), KeyRejected("No."), times=99))
    bench.ground.faults.append(Fault("deployments.list", KeyRejected("No."), times=99))
    bench.ground.faults.append(Fault("registry.revisions", KeyRejected("No."), times=99))
    with pytest.raises(PlatformError):
        await bench.walk()
    bench.ground.faults.clear()
    assert await bench.retire() is None
    assert await _retired(bench)


async def test_a_model_without_effect_can_be_retired(bench: Bench) -> None:
    """A delivery that ended as proof_no_effect is removed like any other, its pictures too."""
    bench.ground.effect = 0
    with pytest.raises(ProofNoEffect):
        await bench.walk()
    assert await bench.retire() is None
    assert await _retired(bench)


async def test_a_stranger_s_things_stay(bench: Bench) -> None:
    """A model without our mark, and an endpoint with another deployment, are left alone."""
    await bench.walk()
    name = provider_name("tok", bench.model.digest)
    things = bench.ground.things
    next(iter(things["models"].values()))["description"] = "made by hand"
    things["deployments"]["dep_x"] = {
        **next(iter(things["deployments"].values())),
        "name": "by-hand",
        "model": "ml_x",
    }
    assert await bench.retire() is None
    assert [row["name"] for row in things["models"].values()] == [name]
    assert len(things["endpoints"]) == 1
    assert len(things["deployments"]) == 2
    done = {event.subject: event.message for event in await bench.store.read("tok") if event.action == "done"}
    assert "left alone" in done["model"]


async def test_a_stranger_s_repository_stays(bench: Bench) -> None:
    """A repository that somebody else filled meanwhile is left alone, and does not keep the model here."""
    await bench.walk()
    bench.ground.faults.append(Fault("publisher.withdraw", Conflict("Lorry did not publish it.")))
    assert await bench.retire() is None
    assert bench.ground.counts() == {**NOTHING, "repos": 1}
    assert await bench.store.models() == ()


async def test_retiring_twice_over_leaves_nothing_to_do(bench: Bench) -> None:
    """Each step is idempotent: run over nothing, all of them are done."""
    await bench.walk()
    placement, model = await bench.placement(), bench.model
    assert await bench.retire() is None
    await bench.store.save_model(model)
    await bench.store.save_placement(placement)
    assert await bench.retire() is None
    assert await _retired(bench)
