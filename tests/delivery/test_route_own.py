"""A deployment of its own (`together-merged`): order, lost answers, the way back, price and forecast."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorry.delivery.doubles import memory_platform
from lorry.delivery.ports import HostedEvent
from lorry.errors import DeploymentFailed, ImportFailed, NoConfiguration, NotThere, RevisionRejected
from lorry.model.names import provider_name
from tests.delivery.conftest import Bench
from tests.delivery.laws import (
    PRICED,
    assert_nothing_is_made_without_agreement,
    assert_one_of_each,
    forecast,
    on,
    shipped,
    steps,
)

ROUTE = "together-merged"
ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 0}
NOTHING = dict.fromkeys(ONE, 0)
TAIL = ["validate", "endpoint", "deploy", "wait", "route", "prove", "ready"]


@pytest.fixture
def merged(bench: Bench) -> Bench:
    """Give a bench that ships an adapter for text as a deployment of its own."""
    return on(bench, ROUTE, "text-lora")


async def test_the_files_go_up_and_nothing_is_published(merged: Bench) -> None:
    """The files are uploaded, so the Hub is not needed; the steps come in order and make one of each."""
    ids = (await shipped(merged)).ids
    assert await steps(merged) == ["check", "register", "upload", *TAIL]
    assert merged.ground.counts() == ONE
    assert (ids.hub_repo, ids.attachment) == (None, None)


@pytest.mark.parametrize(
    ("remote", "published", "job"),
    [("hub", ["publish"], ["import"]), ("https://files.example/a.zip?token=secret", [], ["import"])],
)
async def test_the_platform_can_fetch_the_files(
    merged: Bench, remote: str, published: list[str], job: list[str]
) -> None:
    """The platform fetches from the Hub or from an address, whose permission is told nowhere."""
    on(merged, ROUTE, "text-lora", remote=remote)
    ids = (await shipped(merged)).ids
    assert await steps(merged) == ["check", *published, "register", *job, *TAIL]
    assert ids.job in merged.ground.things["imports"]
    told = [(event.message, str(event.data)) for event in await merged.store.read("tok")]
    assert not [each for each in told if "secret" in str(each)]


async def test_the_hub_is_fetched_from_by_its_address(merged: Bench) -> None:
    """What the platform is given is the address of the repository that was published before."""
    on(merged, ROUTE, "text-lora", remote="hub")
    ids = (await shipped(merged)).ids
    (job,) = merged.ground.things["imports"].values()
    assert job["source"] == f"memory://hub/{ids.hub_repo}"


@pytest.mark.parametrize(
    ("verb", "look"),
    [
        ("registry.create", "registry.find"),
        ("registry.upload", "registry.revisions"),
        ("endpoints.create", "endpoints.find"),
        ("deployments.create", "deployments.list"),
    ],
)
async def test_lost_answers_make_nothing_twice(merged: Bench, verb: str, look: str) -> None:
    """A call that acted without an answer, and a lost look after it, leave one of each."""
    await assert_one_of_each(merged, verb, look)


async def test_a_lost_answer_of_the_fetch_begins_one_job(merged: Bench) -> None:
    """A job that was begun without an answer is found and waited for."""
    merged.ground.looks = 3
    await assert_one_of_each(
        on(merged, ROUTE, "text-lora", remote="hub"), "registry.fetch", "registry.imports"
    )


async def test_a_failed_fetch_is_tried_anew_by_the_next_delivery(merged: Bench) -> None:
    """A job that failed ends its delivery with the platform's sentence; the next one begins another."""
    on(merged, ROUTE, "text-lora", remote="hub")
    merged.ground.fail_import = "The archive has no config.json."
    with pytest.raises(ImportFailed, match=r"The archive has no config\.json\."):
        await merged.walk()
    merged.ground.fail_import = ""
    await shipped(merged)
    assert len(merged.ground.things["imports"]) == 2


async def test_refused_files_are_fetched_anew_by_the_next_delivery(merged: Bench) -> None:
    """A job that ended well with files that were refused is not waited for a second time."""
    on(merged, ROUTE, "text-lora", remote="hub")
    merged.ground.reject = ("Rank 3 is odd.",)
    with pytest.raises(RevisionRejected, match=r"Rank 3 is odd\."):
        await merged.walk()
    merged.ground.reject = ()
    await shipped(merged)
    assert len(merged.ground.things["imports"]) == 2


async def test_files_that_were_fetched_are_not_fetched_again(merged: Bench) -> None:
    """A delivery that failed later leaves its files: the next one adopts the job and the revision."""
    on(merged, ROUTE, "text-lora", remote="hub")
    merged.ground.fail = "No accelerator."
    with pytest.raises(DeploymentFailed):
        await merged.walk()
    merged.ground.fail = ""
    await shipped(merged)
    assert len(merged.ground.things["imports"]) == 1


async def test_the_platform_s_events_explain_a_start_that_fails(merged: Bench) -> None:
    """Each event of the platform is told once, those of other deployments not; the error has the warnings."""
    merged.ground.fail, merged.ground.looks = "It did not start.", 3
    merged.ground.events = (
        HostedEvent("ev_1", "2026-11-23T12:00:01Z", "info", "pod.log", "Pulling the image."),
        HostedEvent("ev_2", "2026-11-23T12:00:02Z", "error", "condition.set", "Out of memory."),
        HostedEvent("ev_3", "2026-11-23T12:00:03Z", "error", "condition.set", "Another one's.", "dep_other"),
    )
    with pytest.raises(DeploymentFailed, match="It did not start") as caught:
        await merged.walk()
    assert caught.value.evidence["events"] == ["Out of memory."]
    told = [event for event in await merged.store.read("tok") if event.action == "platform"]
    assert [(event.message, event.data["level"]) for event in told] == [
        ("Pulling the image.", "info"),
        ("Out of memory.", "error"),
    ]


@pytest.mark.parametrize("remote", [None, "hub"])
async def test_retiring_leaves_nothing(merged: Bench, remote: str | None) -> None:
    """Everything that a delivery made goes, in order: traffic, what runs, the model, the repository."""
    on(merged, ROUTE, "text-lora", remote=remote)
    await shipped(merged)
    assert await merged.retire() is None
    counts = {kind: count for kind, count in merged.ground.counts().items() if kind != "imports"}
    assert counts == NOTHING
    assert await steps(merged, "retire") == [
        *("unroute", "stop", "stopped", "deployment", "endpoint", "model", "repository", "forget"),
    ]


async def test_an_endpoint_of_the_user_keeps_what_is_its_own(merged: Bench) -> None:
    """In the user's endpoint the deployment joins the others, and leaves them there when it goes."""
    endpoints = memory_platform(merged.ground).endpoints
    mine = await endpoints.create("mine")
    await endpoints.route(mine.id, {"dep_theirs": 3.0})
    on(merged, ROUTE, "text-lora", endpoint="mine", weight=1.0)
    ids = (await shipped(merged)).ids
    routed = merged.ground.things["endpoints"][mine.id]["routed"]
    assert routed == {"dep_theirs": 3.0, ids.deployment: 1.0}
    assert await merged.retire() is None
    assert merged.ground.counts() == {**NOTHING, "endpoints": 1}
    assert merged.ground.things["endpoints"][mine.id]["routed"] == {"dep_theirs": 3.0}


async def test_an_endpoint_that_is_not_there_is_named(merged: Bench) -> None:
    """A wrong `--endpoint` is refused by its name, and none is made instead."""
    on(merged, ROUTE, "text-lora", endpoint="nowhere")
    with pytest.raises(NotThere, match="no endpoint nowhere"):
        await merged.walk()
    assert merged.ground.counts()["endpoints"] == 0


async def test_without_agreement_nothing_is_made(merged: Bench) -> None:
    """A price that nobody agreed to ends the delivery before the first call that makes anything."""
    merged.ground.configurations = PRICED
    await assert_nothing_is_made_without_agreement(merged)


async def test_a_forecast_says_what_would_be_made_and_its_price(merged: Bench) -> None:
    """Names, hardware, price per replica-hour, and what was asked for it."""
    merged.ground.configurations = PRICED
    told, name = await forecast(merged), provider_name("tok", merged.model.digest)
    assert told.runs
    assert told.creates == (
        f"the model {name} with one revision",
        f"the endpoint {name}",
        f"the deployment {name} on 1xh100",
    )
    assert told.price is not None
    assert (told.price.sentence, told.target) == ("$5.49 per replica-hour", "1xh100")
    assert {"catalogue", "configurations", "prices", "models", "endpoints"} <= set(told.asked)


async def test_a_forecast_finds_what_is_there(merged: Bench) -> None:
    """What a delivery made is found and not made again."""
    await shipped(merged)
    told = await forecast(merged)
    assert told.creates == ()
    assert len(told.finds) == 3


async def test_a_forecast_says_what_would_be_refused(merged: Bench) -> None:
    """A configuration that does not exist, and a platform without space, are told as obstacles."""
    on(merged, ROUTE, "text-lora", config="cr_none")
    assert [each.code for each in (await forecast(merged)).obstacles] == [NoConfiguration.code]
    on(merged, ROUTE, "text-lora")
    merged.ground.configurations = tuple(replace(each, headroom=0) for each in PRICED)
    told = await forecast(merged)
    assert ([each.code for each in told.obstacles], told.runs) == (["no_capacity"], False)
