"""Together's first version (`together-v1`): upload job, endpoint, and what it can't take back."""

from __future__ import annotations

import pytest

from lorry.errors import ImportFailed, NoCapacity, PriceNotAccepted, V1Closed
from lorry.model.names import provider_name
from lorry.model.placement import PlacementState
from tests.delivery.conftest import Bench
from tests.delivery.laws import (
    assert_nothing_is_made_without_agreement,
    assert_one_of_each,
    forecast,
    on,
    shipped,
    steps,
)

ROUTE = "together-v1"
KIND = "text-lora"
#: What is left where v1 has no call that deletes: the uploaded model and its job.
LEFT = {"models": 1, "revisions": 0, "imports": 1, "endpoints": 0, "deployments": 0, "repos": 0}


@pytest.fixture
def legacy(bench: Bench) -> Bench:
    """Give a bench that ships an adapter for text as the first version took it."""
    return on(bench, ROUTE, KIND)


async def test_the_platform_fetches_from_the_hub_and_an_endpoint_is_made(legacy: Bench) -> None:
    """The file is published, fetched by a job, and served by an endpoint of its own; one of each."""
    ids = (await shipped(legacy)).ids
    name = provider_name("tok", legacy.model.digest)
    assert await steps(legacy) == [
        *("check", "publish", "upload", "job", "endpoint", "wait", "prove", "ready"),
    ]
    (job,) = legacy.ground.things["imports"].values()
    assert (job["source"], job["adapter"]) == (f"memory://hub/someone/{name}", True)
    assert (ids.adapter_name, ids.endpoint_name) == (f"someone/{name}", f"someone/{name}")
    assert legacy.ground.counts() == {**LEFT, "endpoints": 1, "deployments": 1, "repos": 1}


async def test_an_address_is_fetched_without_a_repository(legacy: Bench) -> None:
    """With an address nothing is published, and its permission is told nowhere."""
    on(legacy, ROUTE, KIND, remote="https://files.example/tok.zip?signature=secret")
    await shipped(legacy)
    assert "publish" not in await steps(legacy)
    assert not [event for event in await legacy.store.read("tok") if "secret" in str(event.as_dict())]


@pytest.mark.parametrize(
    ("verb", "look"), [("legacy.upload", "legacy.find_job"), ("legacy.create", "legacy.find")]
)
async def test_lost_answers_make_nothing_twice(legacy: Bench, verb: str, look: str) -> None:
    """A call that acted without an answer, and a lost look after it, leave one of each."""
    await assert_one_of_each(legacy, verb, look)


async def test_a_closed_first_version_says_where_to_go(legacy: Bench) -> None:
    """The 403 of the closed API is one sentence with the routes of the second version."""
    legacy.ground.closed = True
    with pytest.raises(V1Closed) as caught:
        await legacy.walk()
    assert "together-merged" in caught.value.fix
    assert (await legacy.placement()).state is PlacementState.FAILED
    assert legacy.ground.counts()["endpoints"] == 0


async def test_a_failed_job_is_tried_anew_by_the_next_delivery(legacy: Bench) -> None:
    """A job that failed ends its delivery with the platform's sentence; the next one begins another."""
    legacy.ground.fail_import = "adapter_config.json is missing."
    with pytest.raises(ImportFailed, match=r"adapter_config\.json is missing\."):
        await legacy.walk()
    legacy.ground.fail_import = ""
    await shipped(legacy)
    assert len(legacy.ground.things["imports"]) == 2


async def test_a_job_that_failed_before_a_retiring_is_not_adopted(legacy: Bench) -> None:
    """A job's name outlives the model: after retiring and shipping again, the failed one is left alone."""
    legacy.ground.fail_import = "adapter_config.json is missing."
    with pytest.raises(ImportFailed):
        await legacy.walk()
    assert await legacy.retire() is None
    legacy.ground.fail_import = ""
    await shipped(legacy)


async def test_a_stopped_endpoint_is_replaced(legacy: Bench) -> None:
    """What the platform stopped for want of requests does not start again: a new delivery makes a new one."""
    first = (await shipped(legacy)).ids.endpoint
    legacy.ground.things["endpoints"][first]["stopped"] = True
    second = (await shipped(legacy)).ids.endpoint
    assert second != first
    assert list(legacy.ground.things["endpoints"]) == [second]
    assert len(legacy.ground.things["imports"]) == 1


async def test_a_stopped_endpoint_can_be_resumed(legacy: Bench) -> None:
    """`resume` of a ready model that the platform does not run any more brings it back."""
    async with legacy.open() as deliveries:
        await deliveries.ship(legacy.source, "tok", legacy.wish)
        (first,) = legacy.ground.things["endpoints"]
        legacy.ground.things["endpoints"][first]["stopped"] = True
        placement = await deliveries.resume("tok")
    assert placement.state is PlacementState.READY
    assert placement.ids.endpoint != first


async def test_hardware_that_is_not_offered_is_named(legacy: Bench) -> None:
    """A wish for other hardware than is free names what there is."""
    on(legacy, ROUTE, KIND, config="2x_h100")
    with pytest.raises(NoCapacity, match="the platform offers 1x_cpu") as caught:
        await legacy.walk()
    assert caught.value.evidence["wanted"] == "2x_h100"


async def test_retiring_leaves_what_v1_can_t_delete_and_says_so(legacy: Bench) -> None:
    """Endpoint and repository go; the uploaded model stays, as v1 has no call that deletes it."""
    await shipped(legacy)
    assert await legacy.retire() is None
    assert legacy.ground.counts() == LEFT
    assert await steps(legacy, "retire") == ["endpoint", "gone", "repository", "forget"]
    told = [event.message for event in await legacy.store.read("tok") if event.action == "done"]
    assert "It is being deleted; the uploaded model stays, as v1 has no call that deletes it." in told


async def test_without_agreement_nothing_is_made(legacy: Bench) -> None:
    """An endpoint bills from its start on, and nobody agreed."""
    legacy.ground.cents = 336.0
    await assert_nothing_is_made_without_agreement(legacy)


async def test_the_price_that_is_asked_about_is_the_hardware_s(legacy: Bench) -> None:
    """The question has the platform's own price per hour; a no makes nothing."""
    legacy.ground.cents = 336.0

    async def refuse(price: object) -> bool:
        return False

    async with legacy.open() as deliveries:
        with pytest.raises(PriceNotAccepted, match=r"\$3\.36 per replica-hour"):
            await deliveries.ship(legacy.source, "tok", legacy.wish, refuse)


async def test_a_forecast_says_that_the_first_version_is_closed(legacy: Bench) -> None:
    """Without a rehearsal the closing is an obstacle with the routes that replace it; the price is told."""
    legacy.ground.cents = 336.0
    told, name = await forecast(legacy), provider_name("tok", legacy.model.digest)
    assert ([each.code for each in told.obstacles], told.runs) == (["v1_closed"], False)
    assert "together-attached" in (told.obstacles[0].fix or "")
    assert told.price is not None
    assert told.price.sentence == "$3.36 per replica-hour"
    assert told.creates == (
        f"the private repository {name} on the Hub",
        f"the model {name}, by an upload job",
        f"the endpoint {name}",
    )


async def test_a_forecast_finds_what_is_there(legacy: Bench) -> None:
    """A job that ended well and an endpoint that runs are found and not made again."""
    await shipped(legacy)
    told = await forecast(legacy)
    assert [each.split(",")[0].rsplit("/", 1)[0] for each in told.finds] == [
        "the model someone",
        "the endpoint someone",
    ]
    assert len(told.creates) == 1
