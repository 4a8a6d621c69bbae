"""An image LoRA in a dedicated container (`together-container`): found or run, shared, removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorry.delivery.doubles import memory_platform
from lorry.delivery.ports import ContainerOrder
from lorry.errors import DeploymentFailed, NotThere, OptionInvalid, PriceNotAccepted
from lorry.model.names import provider_name
from lorry.model.placement import Placement, PlacementState, ProviderIds
from tests.delivery.conftest import AT, Bench
from tests.delivery.laws import (
    assert_nothing_is_made_without_agreement,
    assert_one_of_each,
    forecast,
    on,
    shipped,
    steps,
)

ROUTE = "together-container"
KIND = "image-lora"
SHARED = "lorry-adapters-icons"
IMAGE = "registry.example/worker:1"
NOTHING = dict.fromkeys(("models", "revisions", "endpoints", "deployments", "repos"), 0)


@pytest.fixture
def contained(bench: Bench) -> Bench:
    """Give a bench whose LoRA is fetched by a worker that runs an image of ours."""
    return on(bench, ROUTE, KIND, public=True, image=IMAGE)


async def _running(bench: Bench, name: str) -> str:
    """Have a container run already; gives its id."""
    made = await memory_platform(bench.ground).containers.create(ContainerOrder(name, IMAGE))
    bench.ground.calls.clear()
    return made.id


async def test_a_container_is_run_and_jobs_name_the_address(contained: Bench) -> None:
    """The file is published, the container of the base is run, and jobs name the file with its commit."""
    ids = (await shipped(contained)).ids
    assert await steps(contained) == ["check", "publish", "address", "container", "wait", "prove", "ready"]
    assert contained.ground.counts() == {**NOTHING, "repos": 1, "containers": 1}
    assert list(contained.ground.things["containers"]) == [ids.container]
    assert ids.endpoint_name == SHARED
    assert ids.address is not None
    assert ids.address.endswith(f"/resolve/{ids.hub_commit}/tok.safetensors")


async def test_a_running_container_is_shared(contained: Bench) -> None:
    """The container of the base that runs already is used, without an image."""
    container = await _running(contained, SHARED)
    ids = (await shipped(on(contained, ROUTE, KIND, public=True))).ids
    assert ids.container == container
    assert "containers.create" not in contained.ground.calls


async def test_a_lost_answer_runs_one_container(contained: Bench) -> None:
    """A container that was made without an answer is found by its name, and not made again."""
    await assert_one_of_each(contained, "containers.create", "containers.find")


async def test_a_container_that_can_t_run_says_why(contained: Bench) -> None:
    """The platform's sentence and what it wrote last; what was made is removed, as it would bill."""
    contained.ground.fail = "The image can't be pulled."
    with pytest.raises(DeploymentFailed, match="The image can't be pulled") as caught:
        await contained.walk()
    assert caught.value.evidence["logs"]
    assert caught.value.fix.startswith(f"Run `lorry container logs {SHARED}`")
    assert "containers" not in contained.ground.counts()
    contained.ground.fail = ""
    await shipped(contained)


async def test_without_an_image_and_a_container_nothing_is_made(contained: Bench) -> None:
    """Nothing to run it in: refused at once, with the command that makes what is needed."""
    on(contained, ROUTE, KIND, public=True)
    async with contained.open() as deliveries:
        with pytest.raises(NotThere, match=f"no container {SHARED}") as caught:
            await deliveries.ship(contained.source, "tok", contained.wish)
    assert "lorry container init" in caught.value.fix
    assert contained.ground.counts() == NOTHING
    assert [each.code for each in (await forecast(contained)).obstacles] == [NotThere.code]


async def test_a_private_repository_is_refused_before_it_is_made(bench: Bench) -> None:
    """A worker that logs in nowhere could not fetch it."""
    on(bench, ROUTE, KIND, image=IMAGE)
    async with bench.open() as deliveries:
        with pytest.raises(OptionInvalid, match="private repository needs a login"):
            await deliveries.ship(bench.source, "tok", bench.wish)
    assert bench.ground.counts() == NOTHING


async def test_without_agreement_nothing_is_made(contained: Bench) -> None:
    """A container bills at a price that nobody publishes; that needs an agreement all the more."""
    await assert_nothing_is_made_without_agreement(contained)


async def test_who_agrees_sees_what_is_known_of_the_price(contained: Bench) -> None:
    """The question tells that the price is not published and who grants it; a no makes nothing."""
    asked = []

    async def refuse(price: object) -> bool:
        asked.append(price)
        return False

    async with contained.open() as deliveries:
        with pytest.raises(PriceNotAccepted, match="granted by Together's sales"):
            await deliveries.ship(contained.source, "tok", contained.wish, refuse)
    assert len(asked) == 1
    assert contained.ground.counts() == NOTHING


async def test_retiring_leaves_nothing(contained: Bench) -> None:
    """The container goes when nothing uses it any more, and the repository with it."""
    await shipped(contained)
    assert await contained.retire() is None
    assert contained.ground.counts() == NOTHING
    assert await steps(contained, "retire") == ["container", "repository", "forget"]


async def test_a_container_that_another_model_uses_stays(contained: Bench) -> None:
    """While another model's jobs go to it, the container runs on, and who uses it is told."""
    ids = (await shipped(contained)).ids
    await contained.store.save_model(replace(contained.model, name="other"))
    used = ProviderIds(container=ids.container)
    await contained.store.save_placement(
        Placement("other", ROUTE, PlacementState.READY, "ready", used, None, None, AT)
    )
    assert await contained.retire() is None
    assert contained.ground.counts() == {**NOTHING, "containers": 1}
    told = [event.message for event in await contained.store.read("tok") if event.action == "done"]
    assert f"{SHARED} stays: other uses it." in told


async def test_a_container_of_the_user_stays(contained: Bench) -> None:
    """A container that the user named is used and never removed, not after a failure either."""
    await _running(contained, "mine")
    on(contained, ROUTE, KIND, public=True, endpoint="mine")
    contained.ground.effect = 0
    with pytest.raises(Exception, match="changes nothing"):
        await contained.walk()
    contained.ground.effect = 40
    await shipped(contained)
    assert await contained.retire() is None
    assert contained.ground.counts() == {**NOTHING, "containers": 1}


async def test_a_forecast_says_what_would_be_made(contained: Bench) -> None:
    """The repository, the container, and that nobody publishes its price."""
    told, name = await forecast(contained), provider_name("tok", contained.model.digest)
    assert told.creates == (f"the public repository {name} on the Hub", f"the container {SHARED}")
    assert told.price is not None
    assert told.price.cents is None
    assert told.runs


async def test_a_forecast_finds_the_container_that_runs(contained: Bench) -> None:
    """A container that is there is found with its state, and nothing new bills."""
    await _running(contained, SHARED)
    told = await forecast(contained)
    assert len(told.finds) == 1
    assert told.finds[0].startswith(f"the container {SHARED}, ")
    assert told.price is None
