"""The steps of a delivery over the doubles, without the durable runtime."""

from __future__ import annotations

import pytest

from lorry.delivery.doubles import Fault, InstantDurable
from lorry.errors import (
    AnswerLost,
    KeyRejected,
    NotRouted,
    PlatformError,
    PlatformFault,
    RateLimited,
    Unreachable,
)
from lorry.model.names import provider_name
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench

STEPS = [
    *("check", "publish", "register", "upload", "validate", "endpoint", "deploy", "wait", "route"),
    *("prove", "ready"),
]
ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}
CREATES = [
    "publisher.publish",
    "registry.create",
    "registry.upload",
    "endpoints.create",
    "deployments.create",
]
CALLS = [
    *CREATES,
    *("registry.base", "registry.find", "registry.revisions", "endpoints.find", "endpoints.route"),
    *("deployments.list", "deployments.look", "painter.paint"),
]


async def test_every_step_is_told_in_order(bench: Bench) -> None:
    """Each step starts and is done once, in order, with its seconds; the listener hears the same."""
    placement = await bench.walk()
    assert placement.state is PlacementState.READY
    assert await bench.told("started", "done") == [
        f"{step} {action}" for step in STEPS for action in ("started", "done")
    ]
    events = await bench.store.read("tok")
    assert all(
        (event.seconds or 0) > 0 for event in events if event.action == "done" and event.subject != "check"
    )
    assert [(event.subject, event.action) for event in bench.heard] == [
        (event.subject, event.action)
        for event in events
        if event.subject != "check" or event.action != "started"
    ]


async def test_the_placement_knows_what_the_platform_calls_it(bench: Bench) -> None:
    """Every id is in the placement, and there is one of each thing under the deterministic name."""
    ids = (await bench.walk()).ids
    name = provider_name("tok", bench.model.digest)
    things = bench.ground.things
    assert (ids.model, ids.revision) == (*things["models"], *things["revisions"])
    assert (ids.endpoint, ids.deployment) == (*things["endpoints"], *things["deployments"])
    assert ids.endpoint_name == ids.adapter_name == ids.hub_repo == f"someone/{name}"
    assert ids.hub_commit
    assert bench.ground.counts() == ONE
    assert things["endpoints"][ids.endpoint]["routed"] == {ids.deployment: 1.0}
    assert bench.model.digest in things["models"][ids.model]["description"]


async def test_the_proof_is_kept_with_both_pictures(bench: Bench) -> None:
    """Numbers are in the placement, the pictures at the paths it names, nothing half-written beside them."""
    proof = (await bench.walk()).proof
    assert proof is not None
    assert (proof.passed, proof.difference, proof.noise, proof.threshold, proof.scale) == (True, 40, 0, 1, 1)
    assert proof.prompt == "a picture of TOK"
    folder = bench.home / "proofs" / "tok"
    assert sorted(map(str, folder.iterdir())) == sorted([proof.file_with, proof.file_without or ""])


async def test_upload_progress_is_told_in_bytes(bench: Bench) -> None:
    """The journal has growing byte counts that end with the file's size."""
    await bench.walk()
    events = [event for event in await bench.store.read("tok") if event.action == "progress"]
    sent = [event.data["sent"] for event in events]
    assert sent == sorted(sent)
    assert sent[-1] == events[-1].data["total"] == bench.source.stat().st_size


async def test_the_adapter_s_configuration_goes_along(bench: Bench) -> None:
    """An adapter_config.json beside the weights is published and uploaded, other files are not."""
    (bench.source.parent / "adapter_config.json").write_text("{}")
    (bench.source.parent / "taxes.txt").write_text("private")
    await bench.walk()
    (revision,) = bench.ground.things["revisions"].values()
    (repo,) = bench.ground.things["repos"].values()
    assert revision["files"] == repo["files"] == ["tok.safetensors", "adapter_config.json"]


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize(
    ("error", "acts"),
    [
        (AnswerLost("Lost."), True),
        (AnswerLost("Lost."), False),
        (PlatformFault("502."), True),
        (RateLimited("Slow."), False),
    ],
)
async def test_a_fault_that_passes_leaves_one_of_each(
    bench: Bench, verb: str, error: PlatformError, acts: bool
) -> None:
    """Whatever call meets a passing fault, before or after it acted: ready, with one of each thing."""
    bench.ground.faults.append(Fault(verb, error, acts=acts))
    assert (await bench.walk()).state is PlacementState.READY
    assert bench.ground.counts() == ONE
    assert bench.ground.faults[0].times == 0
    assert len(await bench.told("failed")) == 0


@pytest.mark.parametrize("verb", CALLS)
async def test_a_lasting_fault_fails_and_can_be_taken_up_again(bench: Bench, verb: str) -> None:
    """An unreachable platform fails the delivery after the tries; a new attempt adopts and finishes."""
    bench.ground.faults.append(Fault(verb, Unreachable("Nobody answers."), times=bench.policy.tries))
    durable = InstantDurable()
    with pytest.raises(Unreachable):
        await bench.walk(durable)
    placement = await bench.placement()
    assert placement.state is PlacementState.FAILED
    assert placement.error is not None
    assert placement.error["retryable"] is True
    assert len(await bench.told("retry")) == bench.policy.tries - 1
    assert durable.pauses[:1] or verb == CALLS[0]
    assert (await bench.walk()).state is PlacementState.READY
    assert bench.ground.counts() == ONE


@pytest.mark.parametrize("verb", CALLS)
async def test_a_refusal_is_final_at_once(bench: Bench, verb: str) -> None:
    """A rejected key is not tried again, and comes out as the same typed error with its data."""
    bench.ground.faults.append(Fault(verb, KeyRejected("The key is wrong.", evidence={"status": 401})))
    with pytest.raises(KeyRejected) as caught:
        await bench.walk()
    assert caught.value.evidence["status"] == 401
    assert caught.value.fix == KeyRejected.default_fix
    assert await bench.told("retry") == []
    assert (await bench.placement()).error == caught.value.as_dict()


async def test_routing_that_takes_its_time_is_waited_for(bench: Bench) -> None:
    """An endpoint that is not configured yet (about 30 s at Together) is looked at again."""
    early = NotRouted("No traffic yet.", evidence={"code": "endpoint_not_configured"})
    bench.ground.faults.append(Fault("painter.paint", early, times=3))
    assert (await bench.walk()).state is PlacementState.READY
    assert "prove state" in await bench.told("state")


async def test_kept_answers_are_not_made_again(bench: Bench) -> None:
    """The workflow over the answers of an earlier run makes no call, and comes to the same end."""
    first = InstantDurable()
    await bench.walk(first)
    calls, told = list(bench.ground.calls), await bench.told()
    again = await bench.walk(InstantDurable(first.answers))
    assert bench.ground.calls == calls
    assert await bench.told() == told
    assert again.ids.deployment


async def test_what_a_kill_left_open_is_settled_in_the_end(bench: Bench) -> None:
    """An intent about something that is gone by now does not stay open behind a ready model."""
    await bench.store.open("tok/aa/delete/dep_0", {"deployment": "dep_0"})
    assert (await bench.walk()).state is PlacementState.READY
    assert [intent for intent in bench.store.intents() if intent["result"] is None] == []
